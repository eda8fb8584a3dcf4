/**
 * Which names a body hides. Jinja decides before it runs where a name is looked for: what a body sets outside of
 * conditions is undefined in it, and in bodies inside of it, until then, even if there is a variable of the name
 * outside; unless the body used it before, or a body around it has it. Source: Jinja's `idtracking`.
 */
import type { Body, MacroDefinition, Statement } from './tree.js';
import { allNames, type NameUse, namesIn, namesOf, undeclared } from './walk.js';

/** Fills in what the bodies of a template hide and use. Gives the names that are used anywhere. */
export function findScopes(body: Body): Set<string> {
  enter(body, undefined, []);
  const names = new Set<string>();
  for (const { name, as } of allNames(body.statements)) if (as === 'load') names.add(name);
  return names;
}

/** The names that a body knows of. */
class Names {
  readonly #known: Set<string>;
  readonly #stored: Set<string>;
  readonly hidden: Set<string>;

  constructor(
    private readonly outer: Names | undefined,
    from?: Names,
  ) {
    this.#known = new Set(from ? from.#known : []);
    this.#stored = new Set(from ? from.#stored : []);
    this.hidden = new Set(from ? from.hidden : []);
  }

  has(name: string): boolean {
    return this.#known.has(name) || (this.outer?.has(name) ?? false);
  }

  use({ name, as }: NameUse): void {
    if (as === 'load') {
      if (!this.has(name)) this.#known.add(name);
      return;
    }
    this.#stored.add(name);
    if (as === 'store' && !this.has(name)) this.hidden.add(name);
    if (as === 'parameter') this.hidden.delete(name);
    this.#known.add(name);
  }

  /** Takes over what branches know. What only they set is not hidden. */
  merge(branches: readonly Names[]): void {
    const before = new Set(this.#stored);
    for (const branch of branches) {
      for (const name of branch.#known) this.#known.add(name);
      for (const name of branch.#stored) {
        this.#stored.add(name);
        if (!before.has(name)) this.hidden.delete(name);
      }
    }
  }

  /** A copy for a branch. */
  branch(): Names {
    return new Names(this.outer, this);
  }
}

/** Goes through a body whose names begin with those given, and through the bodies in it. */
function enter(body: Body, outer: Names | undefined, given: Iterable<NameUse>): void {
  const names = new Names(outer);
  for (const use of given) names.use(use);
  visitAll(body.statements, names);
  body.hidden = [...names.hidden];
  enterInner(body.statements, names);
}

function visitAll(statements: readonly Statement[], names: Names): void {
  for (const statement of statements) {
    if (statement.kind === 'if') visitBranches(statement.branches, statement.otherwise, names);
    for (const use of usesOf(statement)) names.use(use);
  }
}

/** What a statement does to the names of the body that it is in. */
function* usesOf(statement: Statement): Iterable<NameUse> {
  switch (statement.kind) {
    case 'print':
      yield* namesIn(statement.value);
      break;
    case 'for':
      yield* namesIn(statement.values);
      break;
    case 'set':
      yield* namesIn(statement.value);
      yield* namesOf(statement.target);
      break;
    case 'setBlock':
      yield* namesOf(statement.target);
      break;
    case 'with':
      for (const value of statement.values) yield* namesIn(value);
      break;
    case 'filterBlock':
      yield* namesIn(statement.filter);
      break;
    case 'macro':
      yield { name: statement.name, as: 'store' };
      break;
    case 'callBlock':
      yield* namesIn(statement.call);
      break;
  }
}

type Branch = Extract<Statement, { kind: 'if' }>['branches'][number];

/** The first branch, all `elif` together, and the last one know nothing of each other. */
function visitBranches(branches: readonly Branch[], otherwise: readonly Statement[], names: Names): void {
  const [first, ...others] = branches;
  for (const use of namesIn(first!.test)) names.use(use);
  const [then, elif, last] = [names.branch(), names.branch(), names.branch()];
  visitAll(first!.body, then);
  for (const branch of others) visitBranches([branch], [], elif);
  visitAll(otherwise, last);
  names.merge([then, elif, last]);
}

/** Goes through the bodies inside of a body. */
function enterInner(statements: readonly Statement[], names: Names): void {
  for (const statement of statements) {
    switch (statement.kind) {
      case 'if':
        for (const { body } of statement.branches) enterInner(body, names);
        enterInner(statement.otherwise, names);
        break;
      case 'for': {
        statement.usesLoop = statement.isRecursive || undeclared(statement.body.statements, ['loop']).size > 0;
        const loop: NameUse[] = statement.usesLoop ? [{ name: 'loop', as: 'parameter' }] : [];
        enter(statement.body, names, [...loop, ...namesOf(statement.target, 'parameter')]);
        enter(statement.otherwise, names, []);
        break;
      }
      case 'setBlock':
        enter(statement.body, names, []);
        break;
      case 'with':
        enter(
          statement.body,
          names,
          statement.targets.flatMap((target) => [...namesOf(target, 'parameter')]),
        );
        break;
      case 'filterBlock':
        enter(statement.body, names, []);
        break;
      case 'macro':
      case 'callBlock':
        enterMacro(statement.macro, names);
        break;
    }
  }
}

function enterMacro(macro: MacroDefinition, outer: Names): void {
  const used = undeclared(macro.body.statements, ['caller', 'kwargs', 'varargs']);
  const isGiven = (name: string) => macro.parameters.includes(name);
  macro.uses = {
    caller: used.has('caller'),
    kwargs: used.has('kwargs') && !isGiven('kwargs'),
    varargs: used.has('varargs') && !isGiven('varargs'),
  };
  const parameters = macro.parameters.map((name): NameUse => ({ name, as: 'parameter' }));
  enter(macro.body, outer, [...parameters, ...macro.defaults.flatMap((value) => [...namesIn(value)])]);
}
