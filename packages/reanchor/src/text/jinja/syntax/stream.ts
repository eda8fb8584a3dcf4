/** Tokens one after another, for a parser. */
import { TemplateError } from '../errors.js';
import { requireLevels } from '../limits.js';
import type { Token, TokenType } from './lexer.js';

export class TokenStream {
  #at = 0;
  #level = 0;

  constructor(private readonly tokens: readonly Token[]) {}

  get current(): Token {
    return this.tokens[this.#at]!;
  }

  get following(): Token {
    return this.tokens[Math.min(this.#at + 1, this.tokens.length - 1)]!;
  }

  get line(): number {
    return this.current.line;
  }

  next(): Token {
    const token = this.current;
    if (token.type !== 'end') this.#at++;
    return token;
  }

  is(type: TokenType, text?: string): boolean {
    return this.current.type === type && (text === undefined || this.current.text === text);
  }

  isOperator(text: string): boolean {
    return this.is('operator', text);
  }

  isName(text: string): boolean {
    return this.is('name', text);
  }

  /** Whether the token was the one asked for, and was taken. */
  take(type: TokenType, text?: string): boolean {
    const isIt = this.is(type, text);
    if (isIt) this.next();
    return isIt;
  }

  takeOperator(text: string): boolean {
    return this.take('operator', text);
  }

  takeName(text: string): boolean {
    return this.take('name', text);
  }

  expect(type: TokenType, text?: string): Token {
    if (!this.is(type, text)) this.fail(`expected ${shown({ type, text: text ?? '' })}, got ${shown(this.current)}`);
    return this.next();
  }

  /** What `parse` gives, one level further in. Errors: LimitError beyond the levels that are read. */
  nested<T>(parse: () => T): T {
    requireLevels(this.#level);
    this.#level++;
    try {
      return parse();
    } finally {
      this.#level--;
    }
  }

  /** Errors: TemplateSyntaxError with the line. */
  fail(message: string, line = this.line): never {
    throw new TemplateError('TemplateSyntaxError', `${message} (line ${line})`);
  }
}

/** A token as messages tell it. */
export function shown({ type, text }: { type: TokenType; text: string }): string {
  if (type === 'end') return 'the end of the template';
  if (type === 'operator') return `'${text}'`;
  return type === 'name' && text !== '' ? `'${text}'` : `a ${type}`;
}
