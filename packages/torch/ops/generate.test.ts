import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { native } from '../src/native.js';
import { GENERATED, generate, parseSchema, readDeclared } from './generate.js';

const declared = readDeclared();

test('src/ops.gen.ts is what the generator makes of declared.txt (npm run generate)', () => {
  expect(readFileSync(GENERATED, 'utf8')).toBe(generate(declared));
});

test('no operator is declared twice', () => {
  const names = declared.map((text) => text.split('(')[0]);
  expect(new Set(names).size).toBe(names.length);
});

test('every declared operator exists in this libtorch with these arguments', () => {
  for (const text of declared) {
    const { name, overload, args } = parseSchema(text);
    const actual = native().schema(name, overload);
    expect(actual, `${name}.${overload}`).toBeDefined();
    // Newer versions may add arguments at the end; what is declared must stand at the same place.
    const found = parseSchema(actual as string).args.map((arg) => arg.name);
    expect(found.slice(0, args.length), text).toEqual(args.map((arg) => arg.name));
  }
});

describe('the generator', () => {
  const one = (...lines: string[]) => generate(lines).split('\n');

  test('makes a method of an operator on self, with defaults optional and keywords in an options object', () => {
    const text = one('aten::sum(Tensor self, *, ScalarType? dtype=None) -> Tensor');
    expect(text).toContain(
      '  sum(options?: { dtype?: DType | null | undefined }): Tensor { return make(aten_sum.call(this.handle, dtypeCode(options?.dtype))); }',
    );
  });

  test('makes a function of anything else, in camel case', () => {
    const text = one('aten::_foreach_zero_(Tensor(a!)[] self) -> ()');
    expect(text).toContain(
      'export function foreachZero_(self: readonly Tensor[]): void { aten__foreach_zero_.call(handles(self)); }',
    );
  });

  test('merges overloads and tells them apart at run time', () => {
    const text = one(
      'aten::eq.Tensor(Tensor self, Tensor other) -> Tensor',
      'aten::eq.Scalar(Tensor self, Scalar other) -> Tensor',
    );
    expect(text).toContain('    if (isTensor(a0)) { return make(aten_eq_Tensor.call(this.handle, a0.handle)); }');
    expect(text).toContain('    return make(aten_eq_Scalar.call(this.handle, a0));');
  });

  test('refuses overloads that it cannot tell apart, and lines that are no schema', () => {
    const lines = ['aten::f.a(Tensor self, int x) -> Tensor', 'aten::f.b(Tensor self, float x) -> Tensor'];
    expect(() => generate(lines)).toThrow('overloads of aten::f cannot be told apart');
    expect(() => generate(['aten::f(Tensor self)'])).toThrow('not a schema: aten::f(Tensor self)');
    expect(() => generate(['aten::f(Stream s) -> Tensor'])).toThrow('no TypeScript type for Stream');
  });
});
