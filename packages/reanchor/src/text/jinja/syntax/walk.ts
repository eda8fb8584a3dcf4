/** Ways through the tree of a template. */
import type { Arguments, Expression, MacroDefinition, Statement, Target } from './tree.js';

const inArguments = ({ positional, named, rest, namedRest }: Arguments): Expression[] => [
  ...positional,
  ...named.map(([, value]) => value),
  ...present(rest, namedRest),
];

const present = (...given: (Expression | undefined)[]) => given.filter((one) => one !== undefined);

/** The expressions that an expression is made of. */
export function partsOf(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case 'constant':
    case 'name':
      return [];
    case 'list':
    case 'tuple':
      return expression.items;
    case 'dict':
      return expression.pairs.flat();
    case 'attribute':
      return [expression.object];
    case 'item':
      return [expression.object, expression.key];
    case 'slice':
      return [expression.object, ...present(...expression.bounds)];
    case 'unary':
      return [expression.operand];
    case 'binary':
    case 'and':
    case 'or':
      return [expression.left, expression.right];
    case 'concat':
      return expression.parts;
    case 'compare':
      return [expression.first, ...expression.rest.map(({ operand }) => operand)];
    case 'conditional':
      return [expression.test, expression.then, ...present(expression.otherwise)];
    case 'filter':
      return [...present(expression.input), ...inArguments(expression.arguments)];
    case 'test':
      return [expression.input, ...inArguments(expression.arguments)];
    case 'call':
      return [expression.callee, ...inArguments(expression.arguments)];
  }
}

/** A name where it is used, set, or made a parameter. */
export interface NameUse {
  name: string;
  as: 'load' | 'store' | 'parameter';
}

export function* namesIn(expression: Expression | undefined): Iterable<NameUse> {
  if (expression === undefined) return;
  if (expression.kind === 'name') yield { name: expression.name, as: 'load' };
  for (const part of partsOf(expression)) yield* namesIn(part);
}

/** The names that are assigned to; a namespace is not. */
export function* namesOf(target: Target, as: 'store' | 'parameter' = 'store'): Iterable<NameUse> {
  if (target.kind === 'name') yield { name: target.name, as };
  if (target.kind === 'targets') for (const item of target.items) yield* namesOf(item, as);
}

function* namesOfMacro({ parameters, defaults, body }: MacroDefinition): Iterable<NameUse> {
  for (const name of parameters) yield { name, as: 'parameter' };
  for (const value of defaults) yield* namesIn(value);
  yield* allNames(body.statements);
}

/** All names of statements and of what is in them, in the order in which Jinja goes through them. */
export function* allNames(statements: readonly Statement[]): Iterable<NameUse> {
  for (const statement of statements) yield* namesOfStatement(statement);
}

function* namesOfStatement(statement: Statement): Iterable<NameUse> {
  switch (statement.kind) {
    case 'print':
      yield* namesIn(statement.value);
      break;
    case 'if':
      for (const { test, body } of statement.branches) {
        yield* namesIn(test);
        yield* allNames(body);
      }
      yield* allNames(statement.otherwise);
      break;
    case 'for':
      yield* namesOf(statement.target);
      yield* namesIn(statement.values);
      yield* allNames(statement.body.statements);
      yield* allNames(statement.otherwise.statements);
      yield* namesIn(statement.test);
      break;
    case 'set':
      yield* namesOf(statement.target);
      yield* namesIn(statement.value);
      break;
    case 'setBlock':
      yield* namesOf(statement.target);
      yield* namesIn(statement.filter);
      yield* allNames(statement.body.statements);
      break;
    case 'with':
      for (const target of statement.targets) yield* namesOf(target, 'parameter');
      for (const value of statement.values) yield* namesIn(value);
      yield* allNames(statement.body.statements);
      break;
    case 'filterBlock':
      yield* allNames(statement.body.statements);
      yield* namesIn(statement.filter);
      break;
    case 'macro':
      yield* namesOfMacro(statement.macro);
      break;
    case 'callBlock':
      yield* namesIn(statement.call);
      yield* namesOfMacro(statement.macro);
      break;
  }
}

/** Which of the names are used where nothing before has set them. Source: Jinja's `find_undeclared`. */
export function undeclared(statements: readonly Statement[], names: readonly string[]): Set<string> {
  const open = new Set(names);
  const found = new Set<string>();
  for (const { name, as } of allNames(statements)) {
    if (!open.has(name)) continue;
    if (as === 'load') found.add(name);
    else open.delete(name);
  }
  return found;
}
