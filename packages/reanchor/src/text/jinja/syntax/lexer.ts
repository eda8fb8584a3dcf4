/** The words of a template. Source: Jinja's lexer, with `trim_blocks` and `lstrip_blocks`. */
import { TemplateError } from '../errors.js';
import { isIdentifier, space } from '../python/characters.js';
import { parseFloatText, parseInteger } from '../python/number-text.js';
import { stripSpaces } from '../python/text-search.js';
import type { Value } from '../python/values.js';
import { unescapeLiteral } from './literals.js';

export type TokenType =
  | 'text'
  | 'print begin'
  | 'print end'
  | 'block begin'
  | 'block end'
  | 'name'
  | 'constant'
  | 'string'
  | 'operator'
  | 'end';

export interface Token {
  type: TokenType;
  /** A name, an operator, or the text. */
  text: string;
  /** Of a constant: its number. */
  value?: Value;
  line: number;
}

const pattern = (source: string) => new RegExp(source, 'uy');
const white = pattern(`[${space}]+`);
const floatNumber = pattern(
  String.raw`(?<!\.)(?:\p{Nd}+_)*\p{Nd}+(?:(?:\.(?:\p{Nd}+_)*\p{Nd}+)?[eE][+-]?(?:\p{Nd}+_)*\p{Nd}+|\.(?:\p{Nd}+_)*\p{Nd}+)`,
);
const integerNumber = pattern(
  String.raw`0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0[xX](?:_?[\p{Nd}a-fA-F])+|[1-9](?:_?\p{Nd})*|0(?:_?0)*`,
);
const name = pattern(String.raw`[\p{L}\p{N}_\p{Mn}\p{Mc}\p{Pc}\p{XID_Continue}]+`);
const string = /'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*"/suy;
const operator = /\/\/|\*\*|==|!=|>=|<=|[-+/*%~[\](){}><=.:|,;]/y;
const rawBegin = pattern(String.raw`\{%[-+]?[${space}]*raw[${space}]*(?:-%\}[${space}]*|%\})`);
const rawEnd = pattern(String.raw`\{%([-+]?)[${space}]*endraw[${space}]*(?:\+%\}|-%\}[${space}]*|%\}\n?)`);
const blockEnd = pattern(String.raw`\+%\}|-%\}[${space}]*|%\}\n?`);
const printEnd = pattern(String.raw`-\}\}[${space}]*|\}\}`);
const closing: Readonly<Record<string, string>> = { '{': '}', '(': ')', '[': ']' };

/** The tokens of a template, the last one its end. Errors: TemplateSyntaxError. */
export function tokenize(source: string): Token[] {
  // Every end of a line is a line feed; one at the end of the file is not part of the text.
  return new Lexer(source.replace(/\r\n?/g, '\n').replace(/\n$/, '')).run();
}

class Lexer {
  readonly #tokens: Token[] = [];
  #at = 0;
  #line = 1;
  /** Where lines were counted up to. */
  #counted = 0;
  /** Whether what was read last ends a line. */
  #isLineStart = true;

  constructor(private readonly source: string) {}

  run(): Token[] {
    for (let begin = this.#nextTag(); begin !== -1; begin = this.#nextTag()) {
      const kind = this.source[begin + 1]!;
      const raw = this.#match(rawBegin, begin);
      const sign = this.source[begin + 2];
      this.#text(this.source.slice(this.#at, begin), sign, kind !== '{');
      if (raw !== undefined) this.#raw(begin + raw.length);
      else {
        this.#at = begin + 2 + (sign === '-' || sign === '+' ? 1 : 0);
        if (kind === '#') this.#comment();
        else this.#tag(kind === '%' ? 'block' : 'print');
      }
    }
    this.#push('text', this.source.slice(this.#at));
    this.#at = this.source.length;
    this.#push('end', '');
    return this.#tokens;
  }

  #nextTag(): number {
    for (let at = this.source.indexOf('{', this.#at); at !== -1; at = this.source.indexOf('{', at + 1)) {
      if ('{%#'.includes(this.source[at + 1] ?? ' ')) return at;
    }
    return -1;
  }

  /** Text before a tag: without white space where the tag says so, or where it is alone on its line. */
  #text(text: string, sign: string | undefined, isLeftStripped: boolean): void {
    let kept = text;
    if (sign === '-') kept = stripSpaces(text, 'end');
    else if (sign !== '+' && isLeftStripped) {
      const lineStart = text.lastIndexOf('\n') + 1;
      const isOwnLine = lineStart > 0 || this.#isLineStart;
      if (isOwnLine && stripSpaces(text.slice(lineStart), 'both') === '') kept = text.slice(0, lineStart);
    }
    this.#push('text', kept);
    this.#isLineStart = false;
  }

  /** Text in which tags mean nothing, up to its end. */
  #raw(begin: number): void {
    this.#isLineStart = this.source[begin - 1] === '\n';
    for (let at = this.source.indexOf('{%', begin); at !== -1; at = this.source.indexOf('{%', at + 1)) {
      const end = this.#match(rawEnd, at);
      if (end === undefined) continue;
      this.#at = begin;
      this.#text(this.source.slice(begin, at), this.source[at + 2], true);
      this.#skip(at + end.length);
      return;
    }
    this.#at = begin;
    this.#requireEnd('Missing end of raw directive');
  }

  #comment(): void {
    const end = this.source.indexOf('#}', this.#at);
    if (end === -1) {
      this.#requireEnd('Missing end of comment tag');
      return;
    }
    const sign = end > this.#at ? this.source[end - 1] : '';
    const after = sign === '-' ? (this.#match(white, end + 2)?.length ?? 0) : 0;
    const isTrimmed = sign !== '-' && sign !== '+' && this.source[end + 2] === '\n';
    this.#skip(end + 2 + after + (isTrimmed ? 1 : 0));
  }

  /** What begins with the last characters of a template need not end. */
  #requireEnd(message: string): void {
    if (this.#at < this.source.length) this.#fail(message);
  }

  #skip(end: number): void {
    this.#at = end;
    this.#isLineStart = this.source[end - 1] === '\n';
  }

  #tag(kind: 'block' | 'print'): void {
    this.#push(`${kind} begin`, '');
    const endPattern = kind === 'block' ? blockEnd : printEnd;
    const open: string[] = [];
    while (this.#at < this.source.length) {
      const end = open.length === 0 ? this.#match(endPattern, this.#at) : undefined;
      if (end !== undefined) {
        this.#push(`${kind} end`, '');
        this.#skip(this.#at + end.length);
        return;
      }
      this.#word(open);
    }
  }

  /** White space, a number, a name, a text or an operator, whichever is first of these. */
  #word(open: string[]): void {
    for (const [found, take] of this.#words) {
      const word = this.#match(found, this.#at);
      if (word === undefined) continue;
      take(word, open);
      this.#at += word.length;
      return;
    }
    this.#fail(`unexpected char '${this.source[this.#at]}' at ${this.#at}`);
  }

  readonly #words: readonly (readonly [found: RegExp, take: (word: string, open: string[]) => void])[] = [
    [white, () => {}],
    [floatNumber, (word) => this.#push('constant', word, parseFloatText(word))],
    [integerNumber, (word) => this.#push('constant', word, parseInteger(word, 0))],
    [name, (word) => this.#name(word)],
    [string, (word) => this.#push('string', this.#unescaped(word))],
    [operator, (word, open) => this.#operator(word, open)],
  ];

  #name(word: string): void {
    if (!isIdentifier(word)) this.#fail('Invalid character in identifier');
    this.#push('name', word);
  }

  #operator(word: string, open: string[]): void {
    if (closing[word]) open.push(closing[word]);
    else if ('})]'.includes(word)) {
      const expected = open.pop();
      if (expected === undefined) this.#fail(`unexpected '${word}'`);
      if (expected !== word) this.#fail(`unexpected '${word}', expected '${expected}'`);
    }
    this.#push('operator', word);
  }

  #unescaped(literal: string): string {
    try {
      return unescapeLiteral(literal.slice(1, -1));
    } catch (error) {
      return this.#fail((error as Error).message);
    }
  }

  #match(found: RegExp, at: number): string | undefined {
    found.lastIndex = at;
    return found.exec(this.source)?.[0];
  }

  #push(type: TokenType, text: string, value?: Value): void {
    if (type === 'text' && text === '') return;
    this.#tokens.push({ type, text, line: this.#lineNow(), ...(value === undefined ? {} : { value }) });
  }

  #lineNow(): number {
    while (this.#counted < this.#at) if (this.source[this.#counted++] === '\n') this.#line++;
    return this.#line;
  }

  #fail(message: string): never {
    throw new TemplateError('TemplateSyntaxError', `${message} (line ${this.#lineNow()})`);
  }
}
