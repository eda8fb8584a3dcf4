/** Functions of Python: how the arguments of a call become values of parameters. */
import { fail } from '../errors.js';
import { type CallArguments, Dict, Float, Thing, Tuple, type Value } from './values.js';

/** What a function does with the values of its parameters, in their order. */
export type Run = (...values: Value[]) => Value;

interface Parameter {
  name: string;
  /** Left out where a call has to give it. */
  byDefault?: Value;
}

/** The parameters of a function. */
export interface Signature {
  parameters: readonly Parameter[];
  /** Whether `*args` and `**kwargs` take what is over; as a tuple and a mapping, after the others. */
  hasRest: boolean;
  hasNamedRest: boolean;
  isPositionalOnly: boolean;
}

const literals: Readonly<Record<string, Value>> = { None: null, True: true, False: false };

/**
 * The signature of parameters as Python writes them, with spaces between: `sep=None maxsplit=-1`; `*` and `**` for what
 * is over, `/` for parameters that are not given by name. In a default text a space is written `_`.
 */
export function signatureOf(source: string): Signature {
  const words = source.split(' ').filter((word) => word !== '');
  const parameters = words
    .filter((word) => !['*', '**', '/'].includes(word))
    .map((word): Parameter => {
      const [name, literal] = word.split('=') as [string, string?];
      return literal === undefined ? { name } : { name, byDefault: literalValue(literal) };
    });
  return {
    parameters,
    hasRest: words.includes('*'),
    hasNamedRest: words.includes('**'),
    isPositionalOnly: words.includes('/'),
  };
}

function literalValue(literal: string): Value {
  if (literal.startsWith("'")) return literal.slice(1, -1).replaceAll('_', ' ');
  const known = literals[literal];
  if (known !== undefined) return known;
  return literal.includes('.') ? new Float(Number(literal)) : Number(literal);
}

/** The values of a function's parameters. Errors: TypeError for a call that does not fit them. */
function bind(name: string, signature: Signature, { positional, named }: CallArguments): Value[] {
  const { parameters, hasRest, hasNamedRest, isPositionalOnly } = signature;
  if (positional.length > parameters.length && !hasRest) {
    fail('TypeError', `${name}() takes ${parameters.length} arguments but ${positional.length} were given`);
  }
  if (isPositionalOnly && named.size > 0) fail('TypeError', `${name}() takes no keyword arguments`);
  const values = parameters.map((parameter, i): Value => {
    const byName = named.get(parameter.name);
    const byPlace = positional[i];
    if (byName !== undefined && byPlace !== undefined) {
      fail('TypeError', `${name}() got multiple values for argument '${parameter.name}'`);
    }
    const given = byPlace === undefined ? byName : byPlace;
    const value = given === undefined ? parameter.byDefault : given;
    return value === undefined ? fail('TypeError', `${name}() missing argument: '${parameter.name}'`) : value;
  });
  if (hasRest) values.push(new Tuple(positional.slice(parameters.length)));
  if (!hasNamedRest && named.size === 0) return values;
  const over = [...named].filter(([key]) => !parameters.some((parameter) => parameter.name === key));
  if (hasNamedRest) values.push(Dict.of(over));
  else if (over.length > 0) fail('TypeError', `${name}() got an unexpected keyword argument '${over[0]![0]}'`);
  return values;
}

/** A function of Python or Jinja. */
export class Builtin extends Thing {
  readonly typeName = 'builtin_function_or_method';

  constructor(
    readonly name: string,
    private readonly signature: Signature,
    private readonly run: Run,
  ) {
    super();
  }

  /** Errors: TypeError for a call that does not fit the parameters; those of the function. */
  override call(args: CallArguments): Value {
    return this.run(...bind(this.name, this.signature, args));
  }
}

/** Functions by their names, from `[parameters, what they do]`. */
export function builtins(
  table: Readonly<Record<string, readonly [parameters: string, run: Run]>>,
): Map<string, Builtin> {
  return new Map(
    Object.entries(table).map(([name, [parameters, run]]) => [name, new Builtin(name, signatureOf(parameters), run)]),
  );
}

/** A call with values alone. */
export const positional = (...values: Value[]): CallArguments => ({ positional: values, named: new Map() });
