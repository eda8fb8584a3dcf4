/**
 * Writes src/ops.gen.ts from declared.txt: one typed function or method per operator, overloads merged under one name.
 *
 *   npx tsx packages/torch/ops/generate.ts
 *
 * A new operator is a new line in declared.txt: its schema as libtorch prints it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

interface Argument {
  name: string;
  type: string;
  optional: boolean;
  list: boolean;
  default: string | undefined;
  keyword: boolean;
  hidden: boolean;
}

interface Schema {
  text: string;
  name: string;
  overload: string;
  args: Argument[];
  returns: string[];
  inPlace: boolean;
}

/** Arguments that no caller here needs; libtorch's defaults stand. */
const HIDDEN = new Set([
  'layout',
  'pin_memory',
  'memory_format',
  'generator',
  'implicit',
  'sparse_grad',
  'cudnn_enable',
]);

/** Operators whose arguments from this position on are easier to read by name. */
const OPTIONS_FROM: Record<string, number> = {
  'aten::scaled_dot_product_attention': 3,
  'aten::_flash_attention_forward': 3,
};

const camel = (name: string): string =>
  name.replace(/^_+/, '').replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** Splits at top-level commas. */
function split(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i <= text.length; i++) {
    const c = text[i];
    if (c === '(' || c === '[') depth++;
    else if (c === ')' || c === ']') depth--;
    else if (i === text.length || (c === ',' && depth === 0)) {
      if (text.slice(start, i).trim() !== '') parts.push(text.slice(start, i).trim());
      start = i + 1;
    }
  }
  return parts;
}

export function parseSchema(text: string): Schema {
  const match = /^(\w+::\w+)(?:\.(\w+))?\((.*)\) -> (.+)$/.exec(text);
  if (!match) throw new Error(`not a schema: ${text}`);
  const [, name = '', overload = '', inside = '', returned = ''] = match;
  const args: Argument[] = [];
  let keyword = false;
  for (const part of split(inside)) {
    if (part === '*') {
      keyword = true;
      continue;
    }
    const pieces = /^(\w+)(\([^)]*\))?(\[\d*\])?(\?)?(\[\d*\])?(\?)? (\w+)(?:=(.*))?$/.exec(part);
    if (!pieces) throw new Error(`cannot read the argument '${part}' of ${text}`);
    const list = pieces[3] ?? pieces[5];
    const elementOptional = pieces[4] !== undefined && pieces[5] !== undefined;
    args.push({
      name: pieces[7] as string,
      type: elementOptional ? `${pieces[1]}?` : (pieces[1] as string),
      optional: pieces[6] !== undefined || (pieces[4] !== undefined && !elementOptional),
      list: list !== undefined,
      default: pieces[8],
      keyword: keyword || args.length >= (OPTIONS_FROM[name] ?? Number.POSITIVE_INFINITY),
      hidden: HIDDEN.has(pieces[7] as string),
    });
  }
  const returns = split(returned.startsWith('(') ? returned.slice(1, -1) : returned);
  const inPlace = returns.length === 1 && /^Tensor\(a!\)/.test(returns[0] as string);
  return { text, name, overload, args, returns, inPlace };
}

/** The options of every operator that makes a tensor; they get a name in the generated code. */
const CREATION = '{ dtype?: DType | null | undefined; device?: Device | null | undefined }';

const NUMBER_TYPES = new Set(['int', 'SymInt', 'float']);

function typeOf(arg: Argument): string {
  const { type, list } = arg;
  if (type === 'Tensor') return list ? 'readonly Tensor[]' : 'Tensor';
  if (type === 'Tensor?') return 'readonly (Tensor | null)[]';
  if (type === 'Scalar') return list ? 'readonly number[]' : 'Scalar';
  if (NUMBER_TYPES.has(type)) return list ? 'Numbers' : 'number';
  if (type === 'bool') return list ? 'readonly number[]' : 'boolean';
  if (type === 'ScalarType') return 'DType';
  if (type === 'Device') return 'Device';
  if (type === 'str') return 'string';
  throw new Error(`no TypeScript type for ${type}`);
}

/** A value of the argument's type in the form that the addon takes. */
function pass(arg: Argument, value: string, maybe: boolean): string {
  const { type, list } = arg;
  if (list) return type.startsWith('Tensor') ? `handles(${value})` : `numbers(${value})`;
  if (type === 'Tensor') return maybe ? `${value}?.handle` : `${value}.handle`;
  if (type === 'ScalarType') return `dtypeCode(${value})`;
  if (type === 'Device') return `deviceCode(${value})`;
  return value;
}

/** A test whether a value has the argument's type, where overloads differ in it. */
function test(arg: Argument, value: string): string {
  const { type, list, optional } = arg;
  if (list && type.startsWith('Tensor')) return `isTensors(${value})`;
  if (list && type === 'Scalar') return `Array.isArray(${value})`;
  if (list) return optional ? `isNumbersOrNull(${value})` : `isNumbers(${value})`;
  if (type === 'Tensor') return `isTensor(${value})`;
  if (type === 'ScalarType' || type === 'str') return `isString(${value})`;
  return `isScalar(${value})`;
}

const isOptional = (arg: Argument): boolean => arg.default !== undefined || (arg.keyword && arg.optional);

const constant = (schema: Schema): string =>
  `${schema.name.replace('::', '_')}${schema.overload ? `_${schema.overload}` : ''}`;

function returnType(schema: Schema, method: boolean): string {
  if (schema.inPlace) return method ? 'this' : 'Tensor';
  const types = schema.returns.map((text) => {
    const base = text.replace(/\([^)]*\)/, '').replace(/ \w+$/, '');
    if (base === 'Tensor') return 'Tensor';
    if (base === 'Tensor[]') return 'Tensor[]';
    if (base === 'bool') return 'boolean';
    if (base === 'int' || base === 'float' || base === 'Scalar') return 'number';
    throw new Error(`no TypeScript type for the return value ${text}`);
  });
  return types.length === 0 ? 'void' : types.length === 1 ? (types[0] as string) : `[${types.join(', ')}]`;
}

const positional = (schema: Schema, method: boolean): Argument[] =>
  schema.args.slice(method ? 1 : 0).filter((arg) => !arg.keyword && !arg.hidden);

const keywords = (schema: Schema): Argument[] => schema.args.filter((arg) => arg.keyword && !arg.hidden);

function signature(schema: Schema, method: boolean): string {
  const params = positional(schema, method).map((arg) => {
    const orNull = arg.optional ? ' | null' : '';
    return `${camel(arg.name)}${isOptional(arg) ? '?' : ''}: ${typeOf(arg)}${orNull}`;
  });
  const named = keywords(schema);
  if (named.length > 0) {
    const fields = named.map(
      (arg) =>
        `${camel(arg.name)}${isOptional(arg) ? '?' : ''}: ${typeOf(arg)}${arg.optional ? ' | null' : ''}${isOptional(arg) ? ' | undefined' : ''}`,
    );
    const text = `{ ${fields.join('; ')} }`;
    params.push(`options${named.every(isOptional) ? '?' : ''}: ${text === CREATION ? 'Creation' : text}`);
  }
  return `(${params.join(', ')}): ${returnType(schema, method)}`;
}

/** The statement that calls an operator; `names` are the parameters, in order, the options last. */
function body(schema: Schema, method: boolean, names: string[]): string {
  const params = positional(schema, method);
  const named = keywords(schema);
  const options = names[params.length] ?? 'options';
  const dots = named.every(isOptional) ? '?.' : '.';
  const values = schema.args.map((arg, i) => {
    if (method && i === 0) return 'this.handle';
    if (arg.hidden) return 'undefined';
    const value = arg.keyword ? `${options}${dots}${camel(arg.name)}` : (names[params.indexOf(arg)] as string);
    return pass(arg, value, arg.optional || isOptional(arg));
  });
  while (values.at(-1) === 'undefined') values.pop();
  const call = `${constant(schema)}.call(${values.join(', ')})`;
  const type = returnType(schema, method);
  if (schema.inPlace) return `${call}; return ${method ? 'this' : names[0]};`;
  if (type === 'void') return `${call};`;
  if (type === 'Tensor') return `return make(${call});`;
  if (type === 'Tensor[]') return `return makeAll(${call});`;
  if (type.startsWith('[')) return `return makeAll(${call}) as ${type};`;
  return `return ${call} as ${type};`;
}

function emit(name: string, group: Schema[], method: boolean): string {
  const prefix = method ? '' : 'export function ';
  const indent = method ? '  ' : '';
  const only = group[0] as Schema;
  if (group.length === 1) {
    const names = positional(only, method).map((arg) => camel(arg.name));
    return `${indent}/** \`${only.text}\` */\n${indent}${prefix}${name}${signature(only, method)} { ${body(only, method, names)} }\n`;
  }
  const required = (schema: Schema) => positional(schema, method).filter((arg) => !isOptional(arg));
  const ordered = group
    .map((schema, i) => ({ schema, i }))
    .sort((x, y) => required(y.schema).length - required(x.schema).length || x.i - y.i)
    .map(({ schema }) => schema);
  const width = Math.max(...group.map((s) => positional(s, method).length + (keywords(s).length > 0 ? 1 : 0)));
  const names = Array.from({ length: width }, (_, i) => `a${i}`);
  const least = Math.min(
    ...group.map((s) => required(s).length + (keywords(s).some((arg) => !isOptional(arg)) ? 1 : 0)),
  );
  let text = '';
  for (const schema of group) {
    text += `${indent}/** \`${schema.text}\` */\n${indent}${prefix}${name}${signature(schema, method)};\n`;
  }
  const params = names.map((n, i) => `${n}${i < least ? '' : '?'}: any`).join(', ');
  text += `${indent}${prefix}${name}(${params}): any {\n`;
  const everywhere = (position: number, condition: string) =>
    group.every(
      (s) => required(s)[position] && test(required(s)[position] as Argument, names[position] as string) === condition,
    );
  const seen = new Set<string>();
  ordered.forEach((schema, rank) => {
    const conditions = required(schema)
      .map((arg, i) => ({ condition: test(arg, names[i] as string), i }))
      .filter(({ condition, i }) => !everywhere(i, condition))
      .map(({ condition }) => condition);
    const options = names[positional(schema, method).length] as string;
    const needed = keywords(schema).find(
      (arg) => arg.default === undefined && !(arg.type === 'ScalarType' || arg.type === 'Device'),
    );
    const rivals = group.some(
      (s) => s !== schema && keywords(s).some((arg) => arg.name === needed?.name && arg.type !== needed.type),
    );
    if (needed && rivals) conditions.push(test(needed, `${options}.${camel(needed.name)}`));
    else if (needed && !group.every((s) => keywords(s).includes(needed)))
      conditions.push(`${options}?.${camel(needed.name)} !== undefined`);
    const condition = conditions.join(' && ');
    if (rank < ordered.length - 1) {
      if (condition === '' || seen.has(condition)) throw new Error(`overloads of ${schema.name} cannot be told apart`);
      seen.add(condition);
    }
    const statement = body(schema, method, names);
    const guarded =
      statement.includes('; return') || statement.startsWith('return') ? statement : `${statement} return;`;
    text += rank < ordered.length - 1 ? `${indent}  if (${condition}) { ${guarded} }\n` : `${indent}  ${statement}\n`;
  });
  return `${text}${indent}}\n`;
}

/** The text of ops.gen.ts for these schema lines. */
export function generate(lines: string[]): string {
  const schemas = lines.map(parseSchema);
  const groups = new Map<string, Schema[]>();
  for (const schema of schemas) {
    const method = schema.args[0]?.name === 'self' && schema.args[0].type === 'Tensor' && !schema.args[0].list;
    const key = `${method ? 'method' : 'function'} ${camel(schema.name.split('::')[1] as string)}`;
    groups.set(key, [...(groups.get(key) ?? []), schema]);
  }
  const methods: string[] = [];
  const functions: string[] = [];
  for (const [key, group] of groups) {
    const [kind, name = ''] = key.split(' ');
    if (kind === 'method') methods.push(emit(name, group, true));
    else functions.push(emit(name, group, false));
  }
  const constants = schemas.map((s) => `const ${constant(s)} = new LazyOp('${s.name}', '${s.overload}');`);
  return `// Generated by packages/torch/ops/generate.ts from declared.txt. Do not edit.
import { TensorBase } from './base.js';
import { type Device, deviceCode } from './device.js';
import { type DType, dtypeCode, type Scalar } from './dtype.js';
import { handles, LazyOp, make, makeAll, numbers } from './op.js';
import type { Tensor } from './tensor.js';

/** A list of integers; one number stands for a list of one. */
export type Numbers = number | readonly number[];

/**
 * Dtype and device of a new tensor; libtorch's defaults (float32, cpu, or those of the tensor imitated) where left out.
 */
export interface Creation {
  dtype?: DType | null | undefined;
  device?: Device | null | undefined;
}

${constants.join('\n')}

const isTensor = (value: unknown): value is Tensor => value instanceof TensorBase;
const isTensors = (value: unknown): boolean => Array.isArray(value) && (value.length === 0 || isTensor(value[0]));
const isScalar = (value: unknown): boolean => typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean';
const isString = (value: unknown): boolean => typeof value === 'string';
const isNumbers = (value: unknown): boolean => typeof value === 'number' || Array.isArray(value);
const isNumbersOrNull = (value: unknown): boolean => value === null || isNumbers(value);

/** Operators whose first argument is the tensor itself. */
export abstract class TensorMethods extends TensorBase {
${methods.join('\n')}}

${functions.join('\n')}`;
}

export const DECLARED = fileURLToPath(new URL('declared.txt', import.meta.url));
export const GENERATED = fileURLToPath(new URL('../src/ops.gen.ts', import.meta.url));

export const readDeclared = (): string[] =>
  readFileSync(DECLARED, 'utf8')
    .split('\n')
    .filter((line) => line !== '');

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(GENERATED, generate(readDeclared()));
