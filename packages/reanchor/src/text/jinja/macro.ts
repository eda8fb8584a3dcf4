/** Macros, and the bodies of call blocks. Source: Jinja's `Macro`. */
import { fail } from './errors.js';
import { type CallArguments, Dict, Thing, Tuple, Undefined, type Value } from './python/values.js';

/** What a macro is, as it is written. */
export interface MacroShape {
  /** Null for the body of a call block. */
  name: string | null;
  parameters: readonly string[];
  /** Which of the names that nobody else gives it are used in it. */
  uses: { caller: boolean; kwargs: boolean; varargs: boolean };
}

/** The values of the names of a macro's call; parameters that were not given are left out. */
export type MacroValues = ReadonlyMap<string, Value>;

export class Macro extends Thing {
  readonly typeName = 'Macro';

  constructor(
    private readonly shape: MacroShape,
    private readonly render: (values: MacroValues) => string,
  ) {
    super();
  }

  /** What its body writes. Errors: TypeError for a call that does not fit its parameters; those of the body. */
  override call({ positional, named }: CallArguments): Value {
    const { parameters, uses } = this.shape;
    const values = new Map<string, Value>();
    for (const [i, value] of positional.slice(0, parameters.length).entries()) values.set(parameters[i]!, value);
    const over = new Map(named);
    for (const name of parameters.slice(positional.length)) {
      const value = over.get(name);
      if (value !== undefined) values.set(name, value);
      over.delete(name);
    }
    if (uses.caller && !parameters.includes('caller')) {
      values.set('caller', given(over.get('caller')) ?? new Undefined('No caller defined'));
      over.delete('caller');
    }
    if (uses.kwargs) values.set('kwargs', Dict.of(over));
    else this.#refuseNamed(over);
    if (uses.varargs) values.set('varargs', new Tuple(positional.slice(parameters.length)));
    else if (positional.length > parameters.length) {
      fail('TypeError', `macro ${this.#shown()} takes not more than ${parameters.length} argument(s)`);
    }
    return this.render(values);
  }

  #refuseNamed(over: ReadonlyMap<string, Value>): void {
    const [name] = over.keys();
    if (name === undefined) return;
    if (over.has('caller')) {
      fail('TypeError', `macro ${this.#shown()} was invoked with two values for the special caller argument.`);
    }
    fail('TypeError', `macro ${this.#shown()} takes no keyword argument '${name}'`);
  }

  override attribute(name: string): Value | undefined {
    const { name: own, parameters, uses } = this.shape;
    const attributes: Readonly<Record<string, Value>> = {
      name: own,
      arguments: new Tuple(parameters),
      catch_kwargs: uses.kwargs,
      catch_varargs: uses.varargs,
      caller: uses.caller,
      explicit_caller: parameters.includes('caller'),
    };
    return Object.hasOwn(attributes, name) ? attributes[name] : undefined;
  }

  #shown(): string {
    return this.shape.name === null ? 'None' : `'${this.shape.name}'`;
  }

  override repr(): string {
    return `<Macro ${this.shape.name === null ? 'anonymous' : this.#shown()}>`;
  }
}

/** A caller that is None counts as none. */
const given = (value: Value | undefined) => (value === null ? undefined : value);
