/** The text of a template: its statements, one after another. */
import { fail } from './errors.js';
import { Evaluator } from './evaluate.js';
import { Namespace } from './globals.js';
import { Budget, callLevels } from './limits.js';
import { Loop } from './loop.js';
import { Macro, type MacroValues } from './macro.js';
import { iterate, unpack } from './python/convert.js';
import { stringOf } from './python/repr.js';
import { Iter } from './python/things.js';
import { isTrue, Undefined, type Value } from './python/values.js';
import { Scope } from './scope.js';
import type { Template } from './syntax/parser.js';
import type {
  Body,
  CallStatement,
  Expression,
  ForStatement,
  IfStatement,
  MacroDefinition,
  Statement,
  Target,
} from './syntax/tree.js';

/** What a template writes with the variables of a scope. Errors: TemplateError. */
export function renderTemplate({ body }: Template, variables: Scope): string {
  return new Renderer().render(body, new Scope(variables, body.hidden));
}

/** How statements end: `next` goes on behind them, the others leave the loop around or its round. */
type Completion = 'next' | 'break' | 'continue';

class Renderer {
  readonly #budget = new Budget();
  readonly #evaluator = new Evaluator(this.#budget);
  /** What the bodies that are being rendered have written, the innermost last. */
  #written: string[] = [];

  /** What a body writes. */
  render(body: Body, scope: Scope): string {
    return this.#captured(() => this.#run(body.statements, scope)).text;
  }

  /** What is written while something runs. */
  #captured(run: () => Completion): { text: string; completion: Completion } {
    const outer = this.#written;
    this.#written = [];
    const completion = run();
    const text = this.#written.join('');
    this.#written = outer;
    return { text, completion };
  }

  #write(text: string): void {
    this.#budget.countText(text.length);
    this.#written.push(text);
  }

  #run(statements: readonly Statement[], scope: Scope): Completion {
    for (const statement of statements) {
      const completion = this.#statement(statement, scope);
      if (completion !== 'next') return completion;
    }
    return 'next';
  }

  #statement(statement: Statement, scope: Scope): Completion {
    switch (statement.kind) {
      case 'text':
        this.#write(statement.text);
        return 'next';
      case 'print':
        this.#write(stringOf(this.#evaluator.evaluate(statement.value, scope)));
        return 'next';
      case 'set':
        this.#set(statement.target, statement.value, scope);
        return 'next';
      case 'macro':
        scope.set(statement.name, this.#macro(statement.macro, scope));
        return 'next';
      case 'callBlock':
        this.#write(this.#callBlock(statement, scope));
        return 'next';
      case 'break':
      case 'continue':
        return statement.kind;
      default:
        return this.#nested(statement, scope);
    }
  }

  /** Statements with others in them, which may leave the loop that they are in. */
  #nested(statement: NestedStatement, scope: Scope): Completion {
    this.#budget.enter();
    const completion = this.#runNested(statement, scope);
    this.#budget.leave();
    return completion;
  }

  #runNested(statement: NestedStatement, scope: Scope): Completion {
    const { kind } = statement;
    if (kind === 'if') return this.#if(statement, scope);
    if (kind === 'for') return this.#for(statement, scope);
    const inner = new Scope(scope, statement.body.hidden);
    if (kind === 'with') {
      const { targets, values } = statement;
      for (const [i, target] of targets.entries()) {
        assign(target, this.#evaluator.evaluate(values[i]!, scope), inner);
      }
      return this.#run(statement.body.statements, inner);
    }
    const { text, completion } = this.#captured(() => this.#run(statement.body.statements, inner));
    if (completion !== 'next') return completion;
    const { filter } = statement;
    const value = filter ? this.#evaluator.filters(filter, text, inner) : text;
    if (kind === 'filterBlock') this.#write(stringOf(value));
    else assign(statement.target, value, scope);
    return 'next';
  }

  #set(target: Target, value: Expression, scope: Scope): void {
    requireNamespaces(target, scope);
    assign(target, this.#evaluator.evaluate(value, scope), scope);
  }

  #if({ branches, otherwise }: IfStatement, scope: Scope): Completion {
    for (const { test, body } of branches) {
      if (isTrue(this.#evaluator.evaluate(test, scope))) return this.#run(body, scope);
    }
    return this.#run(otherwise, scope);
  }

  #for(statement: ForStatement, scope: Scope): Completion {
    const values = this.#evaluator.evaluate(statement.values, scope);
    if (!statement.isRecursive) return this.#loop(statement, values, scope, 0);
    this.#write(this.#captured(() => this.#loop(statement, values, scope, 0)).text);
    return 'next';
  }

  #loop(statement: ForStatement, given: Value, outer: Scope, depth: number): Completion {
    const values = statement.test ? this.#tested(statement, given, outer) : given;
    const recurse = (inner: Value, level: number) =>
      this.#called(() => this.#captured(() => this.#loop(statement, inner, outer, level)).text);
    const scope = new Scope(outer, statement.body.hidden);
    const loop = new Loop(values, depth, statement.isRecursive ? recurse : undefined);
    let isElse = true;
    for (let value = loop.next(); value !== undefined; value = loop.next()) {
      scope.clear();
      if (statement.usesLoop) scope.set('loop', loop);
      assign(statement.target, value, scope);
      const completion = this.#run(statement.body.statements, scope);
      if (completion === 'break') break;
      // As in Jinja, a round that was left early does not count.
      if (completion === 'next') isElse = false;
    }
    if (!isElse) return 'next';
    return this.#run(statement.otherwise.statements, new Scope(outer, statement.otherwise.hidden));
  }

  /** The values that the condition of a loop lets through. */
  #tested({ target, test }: ForStatement, values: Value, outer: Scope): Value {
    const scope = new Scope(outer);
    const evaluator = this.#evaluator;
    function* tested(): Iterable<Value> {
      for (const value of iterate(values)) {
        assign(target, value, scope);
        if (isTrue(evaluator.evaluate(test!, scope))) yield value;
      }
    }
    return new Iter(tested());
  }

  #macro(definition: MacroDefinition, outer: Scope): Macro {
    return new Macro(definition, (values) => this.#callMacro(definition, outer, values));
  }

  #callMacro({ parameters, defaults, body }: MacroDefinition, outer: Scope, values: MacroValues): string {
    const scope = new Scope(outer, [...body.hidden, ...parameters]);
    for (const [name, value] of values) scope.set(name, value);
    for (const [i, name] of parameters.entries()) {
      if (values.has(name)) continue;
      const byDefault = defaults[i - parameters.length + defaults.length];
      const value = byDefault
        ? this.#evaluator.evaluate(byDefault, scope)
        : new Undefined(`parameter '${name}' was not provided`);
      scope.set(name, value);
    }
    return this.#called(() => this.render(body, scope));
  }

  #called(run: () => string): string {
    this.#budget.enter(callLevels);
    const text = run();
    this.#budget.leave(callLevels);
    return text;
  }

  #callBlock({ call, macro }: CallStatement, scope: Scope): string {
    const caller = this.#macro(macro, scope);
    if (!call) return stringOf(caller.call(noArguments));
    const callee = this.#evaluator.evaluate(call.callee, scope);
    return stringOf(this.#evaluator.call(callee, this.#evaluator.callArguments(call.arguments, scope, caller)));
  }
}

const noArguments = { positional: [], named: new Map<string, Value>() };

type NestedStatement = Extract<Statement, { kind: 'if' | 'for' | 'with' | 'setBlock' | 'filterBlock' }>;

/** Errors: TemplateRuntimeError where an attribute is to be set of what is no namespace. */
function requireNamespaces(target: Target, scope: Scope): void {
  if (target.kind === 'targets') for (const item of target.items) requireNamespaces(item, scope);
  if (target.kind === 'member' && !(scope.get(target.namespace) instanceof Namespace)) {
    fail('TemplateRuntimeError', 'cannot assign attribute on non-namespace object');
  }
}

/** Gives a value to what is assigned to. Errors: ValueError, TypeError where it is not as many values. */
function assign(target: Target, value: Value, scope: Scope): void {
  if (target.kind === 'name') scope.set(target.name, value);
  else if (target.kind === 'member') (scope.get(target.namespace) as Namespace).set(target.name, value);
  else {
    const values = unpack(value, target.items.length);
    for (const [i, item] of target.items.entries()) assign(item, values[i]!, scope);
  }
}
