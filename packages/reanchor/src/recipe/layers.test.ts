import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readRecipe } from './parse.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-layers-'));
afterAll(() => rmSync(folder, { recursive: true }));
mkdirSync(join(folder, 'parts'));

const write = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

write('parts/model.yaml', 'model: m\nmaxGradNorm: 2\noptimizer: { lr: 1.0e-6, betas: [0.9, 0.95] }\n');
write(
  'parts/soft.yaml',
  'extends: model.yaml\nmethod: dpo\nreference: { update: soft, alpha: 0.6 }\nevaluate: { every: 5 }\n',
);

test('sections are merged key by key, lists and values replaced, from the lowest file up', () => {
  const file = write(
    'a.yaml',
    'extends: parts/soft.yaml\ndata: { train: x, validation: 5 }\noptimizer: { lr: 2.0e-6 }\n',
  );
  expect(readRecipe(file)).toMatchObject({
    model: 'm',
    maxGradNorm: 2,
    method: 'dpo',
    optimizer: { lr: 2e-6, betas: [0.9, 0.95] },
    reference: { update: 'soft', alpha: 0.6 },
    evaluate: { every: 5 },
  });
});

test('a reference with a rule of its own replaces the one below as a whole', () => {
  const file = write(
    'b.yaml',
    'extends: parts/soft.yaml\ndata: { train: x, validation: 5 }\nreference: { update: hard, tau: 0.25 }\n',
  );
  expect(readRecipe(file).reference).toEqual({ update: 'hard', tau: 0.25 });
});

test('null takes a key out, so that its default holds', () => {
  const file = write('c.yaml', 'extends: parts/soft.yaml\ndata: { train: x }\nevaluate: null\nmaxGradNorm: null\n');
  expect(readRecipe(file)).toMatchObject({ maxGradNorm: 1, evaluate: {} });
});

test('a mistake in a lower file is reported with its place there', () => {
  write('parts/wrong.yaml', 'model: m\nmethod: dpo\noptimizer:\n  lr: -1\n');
  const file = write('d.yaml', 'extends: parts/wrong.yaml\ndata: { train: x }\n');
  expect(() => readRecipe(file)).toThrow(/optimizer\.lr: -1 .*parts\/wrong\.yaml:4:7/s);
});

test('a file that is missing, a wrong name, and a circle say so', () => {
  expect(() => readRecipe(write('e.yaml', 'extends: nowhere.yaml\n'))).toThrow(
    /extends: .*nowhere\.yaml does not exist/,
  );
  expect(() => readRecipe(write('f.yaml', 'extends: 5\n'))).toThrow(/name a recipe file/);
  write('g.yaml', 'extends: h.yaml\n');
  expect(() => readRecipe(write('h.yaml', 'extends: g.yaml\n'))).toThrow(/extends itself/);
});

describe('a recipe from elsewhere', () => {
  const secret = join(folder, 'secret.yaml');
  const inner = join(folder, 'inner');
  const rest = 'method: dpo\ndata: { train: x }\n';
  const place = (name: string, text: string) => {
    mkdirSync(dirname(join(inner, name)), { recursive: true });
    writeFileSync(join(inner, name), text);
    return join(inner, name);
  };
  const elsewhere =
    /extends: ".*" lies elsewhere: a recipe extends files in its own folder and below; put a copy there/;

  test.each([
    '../secret.yaml',
    'parts/../../secret.yaml',
    secret,
    '/etc/passwd',
    '/proc/self/environ',
    '..',
    '../inner-too/x.yaml',
    './../secret.yaml',
  ])('reads no file elsewhere: %s', (name) => {
    writeFileSync(secret, 'model: s3cr3t\n');
    const told = () => readRecipe(place('a.yaml', `extends: ${JSON.stringify(name)}\n${rest}`));
    expect(told).toThrow(elsewhere);
    expect(told).not.toThrow(/s3cr3t/);
  });

  test('nor by what it extends, by links or by a list', () => {
    writeFileSync(secret, 'model: s3cr3t\n');
    place('parts/up.yaml', 'extends: ../../secret.yaml\n');
    expect(() => readRecipe(place('a.yaml', `extends: parts/up.yaml\n${rest}`))).toThrow(elsewhere);
    symlinkSync(secret, join(inner, 'link.yaml'));
    expect(() => readRecipe(place('a.yaml', `extends: link.yaml\n${rest}`))).toThrow(elsewhere);
    symlinkSync(folder, join(inner, 'up'));
    expect(() => readRecipe(place('a.yaml', `extends: [parts/m.yaml, up/secret.yaml]\n${rest}`))).toThrow(
      /m\.yaml does not exist/,
    );
    place('parts/m.yaml', 'model: m\n');
    expect(() => readRecipe(place('a.yaml', `extends: [parts/m.yaml, up/secret.yaml]\n${rest}`))).toThrow(elsewhere);
  });

  test('reads what lies in its folder and below, by whatever way, and from whatever folder', () => {
    place('parts/m.yaml', 'extends: ../base.yaml\n');
    place('base.yaml', 'model: m\n');
    place('..odd/x.yaml', 'reference: { update: fixed }\n');
    const file = place('a.yaml', `extends: [./parts/../parts/m.yaml, ..odd/x.yaml]\n${rest}`);
    expect(readRecipe(file).model).toBe('m');
    symlinkSync(join(inner, 'base.yaml'), join(inner, 'same.yaml'));
    expect(readRecipe(place('b.yaml', `extends: same.yaml\nreference: { update: fixed }\n${rest}`)).model).toBe('m');
    const here = process.cwd();
    process.chdir(inner);
    try {
      expect(readRecipe('a.yaml').model).toBe('m');
    } finally {
      process.chdir(here);
    }
  });
});
