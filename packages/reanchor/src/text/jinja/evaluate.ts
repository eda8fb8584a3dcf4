/** The values of expressions. */
import { fail, unsupported } from './errors.js';
import type { Budget } from './limits.js';
import { getAttribute, getItem } from './python/attributes.js';
import { contains, isEqual, isOrdered } from './python/compare.js';
import { iterate } from './python/convert.js';
import { binary, unary } from './python/operators.js';
import { stringOf } from './python/repr.js';
import { sliceOf } from './python/slices.js';
import {
  type CallArguments,
  Dict,
  isTrue,
  Markup,
  Thing,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
} from './python/values.js';
import { filters, notSupported, tests } from './registry.js';
import type { Scope } from './scope.js';
import type { Arguments, Comparison, Expression, FilterExpression, TestExpression } from './syntax/tree.js';

export class Evaluator {
  constructor(private readonly budget: Budget) {}

  /** The value of an expression. Errors: TemplateError of the kind that Jinja or Python has for it; LimitError. */
  evaluate(expression: Expression, scope: Scope): Value {
    if (expression.kind === 'constant') return expression.value;
    if (expression.kind === 'name') {
      const value = scope.get(expression.name);
      return value === undefined ? new Undefined(`'${expression.name}' is undefined`) : value;
    }
    this.budget.enter();
    const value = this.#compute(expression, scope);
    this.budget.leave();
    return value;
  }

  #compute(expression: Exclude<Expression, { kind: 'constant' | 'name' }>, scope: Scope): Value {
    switch (expression.kind) {
      case 'attribute':
        return getAttribute(this.evaluate(expression.object, scope), expression.name);
      case 'item':
        return getItem(this.evaluate(expression.object, scope), this.evaluate(expression.key, scope));
      case 'and':
      case 'or': {
        const left = this.evaluate(expression.left, scope);
        return isTrue(left) === (expression.kind === 'or') ? left : this.evaluate(expression.right, scope);
      }
      case 'unary': {
        const operand = this.evaluate(expression.operand, scope);
        return expression.operator === 'not' ? !isTrue(operand) : unary(expression.operator, operand);
      }
      case 'compare':
        return this.#compare(expression, scope);
      case 'conditional':
        return this.#choose(expression, scope);
      case 'test':
        return this.#test(expression, scope);
      default:
        return this.#counted(this.#make(expression, scope));
    }
  }

  /** Expressions that make a value, which is memory. */
  #make(expression: Extract<Expression, { kind: MakingKind }>, scope: Scope): Value {
    switch (expression.kind) {
      case 'binary': {
        const left = this.evaluate(expression.left, scope);
        return binary(expression.operator, left, this.evaluate(expression.right, scope));
      }
      case 'concat':
        return expression.parts.map((part) => stringOf(this.evaluate(part, scope))).join('');
      case 'filter':
        return this.filter(expression, this.evaluate(expression.input!, scope), scope);
      case 'call':
        return this.call(this.evaluate(expression.callee, scope), this.#arguments(expression.arguments, scope));
      case 'list':
        return expression.items.map((item) => this.evaluate(item, scope));
      case 'tuple':
        return new Tuple(expression.items.map((item) => this.evaluate(item, scope)));
      case 'dict':
        return Dict.of(
          expression.pairs.map(([key, value]) => [this.evaluate(key, scope), this.evaluate(value, scope)]),
        );
      case 'slice': {
        const object = this.evaluate(expression.object, scope);
        const bounds = expression.bounds.map((bound) => (bound ? this.evaluate(bound, scope) : null));
        return sliceOf(object, bounds[0]!, bounds[1]!, bounds[2]!);
      }
    }
  }

  #counted(value: Value): Value {
    if (typeof value === 'string') this.budget.countText(value.length);
    else if (Array.isArray(value)) this.budget.countElements(value.length);
    else if (value instanceof Tuple) this.budget.countElements(value.items.length);
    else if (value instanceof Markup) this.budget.countText(value.text.length);
    return value;
  }

  #compare({ first, rest }: Extract<Expression, { kind: 'compare' }>, scope: Scope): Value {
    let left = this.evaluate(first, scope);
    for (const { operator, operand } of rest) {
      const right = this.evaluate(operand, scope);
      if (!holds(operator, left, right)) return false;
      left = right;
    }
    return true;
  }

  #choose({ test, then, otherwise, line }: Extract<Expression, { kind: 'conditional' }>, scope: Scope): Value {
    if (isTrue(this.evaluate(test, scope))) return this.evaluate(then, scope);
    if (otherwise) return this.evaluate(otherwise, scope);
    const what = `the inline if-expression on line ${line} evaluated to false`;
    return new Undefined(`${what} and no else section was defined.`);
  }

  /** What a filter makes of a value: of what a block writes, or of what the filter before it made. */
  filter(expression: FilterExpression, input: Value, scope: Scope): Value {
    const { positional, named } = this.#arguments(expression.arguments, scope);
    const filter = filters.get(expression.name);
    if (!filter) return unnamed('filter', expression.name, named);
    return filter.call({ positional: [input, ...positional], named });
  }

  /** {@link filter} of filters in a row, of which the first has no input of its own. */
  filters(expression: FilterExpression, input: Value, scope: Scope): Value {
    const inner = expression.input;
    return this.#counted(
      this.filter(expression, inner ? this.filters(inner as FilterExpression, input, scope) : input, scope),
    );
  }

  #test(expression: TestExpression, scope: Scope): Value {
    const input = this.evaluate(expression.input, scope);
    const { positional, named } = this.#arguments(expression.arguments, scope);
    const test = tests.get(expression.name);
    if (!test) return unnamed('test', expression.name, named);
    return test.call({ positional: [input, ...positional], named });
  }

  /** What a call gives. Errors: TypeError for what cannot be called. */
  call(callee: Value, args: CallArguments): Value {
    if (callee instanceof Undefined) return callee.refuse();
    if (callee instanceof Thing && callee.call) return callee.call(args);
    return fail('TypeError', `'${typeName(callee)}' object is not callable`);
  }

  /** The arguments of a call; `caller` is the body of a call block. */
  callArguments(given: Arguments, scope: Scope, caller: Value): CallArguments {
    const { positional, named } = this.#arguments(given, scope);
    if (named.has('caller')) fail('TypeError', "got multiple values for keyword argument 'caller'");
    return { positional, named: new Map([...named, ['caller', caller]]) };
  }

  #arguments({ positional, named, rest, namedRest }: Arguments, scope: Scope): CallArguments {
    if (!rest && !namedRest && named.length === 0) {
      return { positional: positional.map((value) => this.evaluate(value, scope)), named: noNames };
    }
    const values = positional.map((value) => this.evaluate(value, scope));
    const byName = new Map(named.map(([name, value]) => [name, this.evaluate(value, scope)]));
    if (rest) for (const value of iterate(this.evaluate(rest, scope))) values.push(value);
    if (namedRest) addNamed(byName, this.evaluate(namedRest, scope));
    return { positional: values, named: byName };
  }
}

type MakingKind = 'binary' | 'concat' | 'filter' | 'call' | 'list' | 'tuple' | 'dict' | 'slice';

/** What Jinja puts in the place of a filter or test that there is not takes no arguments by name. */
function unnamed(kind: 'filter' | 'test', name: string, named: ReadonlyMap<string, Value>): never {
  if (notSupported.has(name)) unsupported(`the ${kind} ${name}`);
  return fail(named.size > 0 ? 'TypeError' : 'TemplateRuntimeError', `No ${kind} named '${name}' found.`);
}

const noNames: ReadonlyMap<string, Value> = new Map();

function addNamed(named: Map<string, Value>, values: Value): void {
  const dict = values instanceof Undefined ? values.refuse() : values;
  if (!(dict instanceof Dict)) fail('TypeError', `argument after ** must be a mapping, not ${typeName(dict)}`);
  for (const [key, value] of dict.entries()) {
    const name = textOf(key) ?? fail('TypeError', 'keywords must be strings');
    if (named.has(name)) fail('TypeError', `got multiple values for keyword argument '${name}'`);
    named.set(name, value);
  }
}

function holds(operator: Comparison, left: Value, right: Value): boolean {
  switch (operator) {
    case '==':
      return isEqual(left, right);
    case '!=':
      return !isEqual(left, right);
    case 'in':
      return contains(right, left);
    case 'not in':
      return !contains(right, left);
    default:
      return isOrdered(operator, left, right);
  }
}
