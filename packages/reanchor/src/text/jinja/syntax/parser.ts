/** The statements of templates. Source: Jinja's parser, with loop controls and the `generation` of transformers. */
import { unsupported } from '../errors.js';
import { checkTemplate } from './check.js';
import { ExpressionParser } from './expressions.js';
import { tokenize } from './lexer.js';
import { findScopes } from './scopes.js';
import { TokenStream } from './stream.js';
import type { Body, CallStatement, Expression, ForStatement, IfStatement, MacroDefinition, Statement } from './tree.js';

/** A template that was read. */
export interface Template {
  body: Body;
  /** The names that it uses, its own ones too. */
  names: ReadonlySet<string>;
}

/** The template of a source. Errors: TemplateError. */
export function readTemplate(source: string): Template {
  const parser = new StatementParser(new TokenStream(tokenize(source)));
  const body: Body = { statements: parser.statements([]), hidden: [] };
  checkTemplate(body);
  const names = findScopes(body);
  return { body, names };
}

const notRead: Readonly<Record<string, string>> = {
  block: '{% block %}',
  extends: '{% extends %}',
  include: '{% include %}',
  import: '{% import %}',
  from: '{% from %}',
  autoescape: '{% autoescape %}',
};

class StatementParser extends ExpressionParser {
  /** The tags that end the statements around, from the outermost. */
  readonly #ends: (readonly string[])[] = [];

  /** Statements up to a tag of one of the names, which is the current token then; up to the end for none. */
  statements(ends: readonly string[]): Statement[] {
    const { tokens } = this;
    const statements: Statement[] = [];
    while (!tokens.is('end')) {
      if (tokens.is('text')) statements.push({ kind: 'text', text: tokens.next().text });
      else if (tokens.take('print begin')) {
        statements.push({ kind: 'print', value: this.tuple() });
        tokens.expect('print end');
      } else {
        tokens.expect('block begin');
        if (ends.some((name) => tokens.isName(name))) return statements;
        statements.push(...tokens.nested(() => this.#statement()));
        tokens.expect('block end');
      }
    }
    if (ends.length > 0) tokens.fail(`unexpected end of the template, expected ${shownTags(ends)}`);
    return statements;
  }

  /** What stands between a tag and the one that ends it, which is the current token then. */
  #inside(...ends: string[]): Statement[] {
    this.tokens.takeOperator(':');
    this.tokens.expect('block end');
    this.#ends.push(ends);
    const statements = this.statements(ends);
    this.#ends.pop();
    return statements;
  }

  #body(...ends: string[]): Body {
    return { statements: this.#inside(...ends), hidden: [] };
  }

  /** {@link #body} up to its only end, which is taken. */
  #wholeBody(end: string): Body {
    const body = this.#body(end);
    this.tokens.next();
    return body;
  }

  #statement(): Statement[] {
    const { tokens } = this;
    const { text: tag, line } = tokens.expect('name');
    switch (tag) {
      case 'if':
        return [this.#if()];
      case 'for':
        return [this.#for(line)];
      case 'set':
        return [this.#set()];
      case 'print':
        return this.#print();
      case 'with':
        return [this.#with()];
      case 'macro':
        return [this.#macro(line)];
      case 'call':
        return [this.#call(line)];
      case 'filter':
        return [{ kind: 'filterBlock', filter: this.filters(), body: this.#wholeBody('endfilter') }];
      case 'generation':
        return [{ kind: 'callBlock', macro: this.#definition(null, [], 'endgeneration', line) }];
      case 'break':
      case 'continue':
        return [{ kind: tag, line }];
      default:
        return this.#unknown(tag, line);
    }
  }

  #unknown(tag: string, line: number): never {
    if (Object.hasOwn(notRead, tag)) unsupported(notRead[tag]!);
    const ends = this.#ends.at(-1);
    this.tokens.fail(`unknown tag '${tag}'${ends ? `, where ${shownTags(ends)} is expected` : ''}`, line);
  }

  #if(): IfStatement {
    const branches: { test: Expression; body: readonly Statement[] }[] = [];
    for (;;) {
      const test = this.tuple({ withCondition: false });
      branches.push({ test, body: this.#inside('elif', 'else', 'endif') });
      const tag = this.tokens.next().text;
      if (tag === 'elif') continue;
      const otherwise = tag === 'else' ? this.#inside('endif') : [];
      if (tag === 'else') this.tokens.next();
      return { kind: 'if', branches, otherwise };
    }
  }

  #for(line: number): ForStatement {
    const { tokens } = this;
    const target = this.target();
    tokens.expect('name', 'in');
    const values = this.tuple({ withCondition: false });
    const test = tokens.takeName('if') ? this.expression() : undefined;
    const isRecursive = tokens.takeName('recursive');
    const body = this.#body('endfor', 'else');
    const hasElse = tokens.next().text === 'else';
    const otherwise = hasElse ? this.#wholeBody('endfor') : { statements: [], hidden: [] };
    return { kind: 'for', target, values, isRecursive, usesLoop: false, body, otherwise, line, ...(test && { test }) };
  }

  #set(): Statement {
    const target = this.target({ withNamespace: true });
    if (this.tokens.takeOperator('=')) return { kind: 'set', target, value: this.tuple() };
    const filter = this.tokens.takeOperator('|') ? this.filters() : undefined;
    return { kind: 'setBlock', target, body: this.#wholeBody('endset'), ...(filter && { filter }) };
  }

  #print(): Statement[] {
    const statements: Statement[] = [];
    while (!this.tokens.is('block end')) {
      if (statements.length > 0) this.tokens.expect('operator', ',');
      statements.push({ kind: 'print', value: this.expression() });
    }
    return statements;
  }

  #with(): Statement {
    const targets = [];
    const values = [];
    while (!this.tokens.is('block end')) {
      if (targets.length > 0) this.tokens.expect('operator', ',');
      targets.push(this.target());
      this.tokens.expect('operator', '=');
      values.push(this.expression());
    }
    return { kind: 'with', targets, values, body: this.#wholeBody('endwith') };
  }

  #macro(line: number): Statement {
    const name = this.targetName();
    const [parameters, defaults] = this.#signature();
    return { kind: 'macro', name, macro: { ...this.#definition(name, parameters, 'endmacro', line), defaults } };
  }

  #call(line: number): CallStatement {
    const [parameters, defaults] = this.tokens.isOperator('(') ? this.#signature() : [[], []];
    const call = this.expression();
    if (call.kind !== 'call') return this.tokens.fail('expected call', line);
    return { kind: 'callBlock', call, macro: { ...this.#definition(null, parameters, 'endcall', line), defaults } };
  }

  #definition(name: string | null, parameters: readonly string[], end: string, line: number): MacroDefinition {
    const uses = { caller: false, kwargs: false, varargs: false };
    return { name, parameters, defaults: [], uses, body: this.#wholeBody(end), line };
  }

  /** The parameters of a macro, and the defaults of the last of them. */
  #signature(): [parameters: string[], defaults: Expression[]] {
    const { tokens } = this;
    const parameters: string[] = [];
    const defaults: Expression[] = [];
    tokens.expect('operator', '(');
    while (!tokens.isOperator(')')) {
      if (parameters.length > 0) tokens.expect('operator', ',');
      parameters.push(this.targetName());
      if (tokens.takeOperator('=')) defaults.push(this.expression());
      else if (defaults.length > 0) tokens.fail('non-default argument follows default argument');
    }
    tokens.next();
    return [parameters, defaults];
  }
}

const shownTags = (names: readonly string[]) => names.map((name) => `'${name}'`).join(' or ');
