/** Filters that write HTML and addresses. */
import { fail } from '../errors.js';
import { lengthOf, space, word } from '../python/characters.js';
import { isIterable, listOf, toDict, toIndex, toText, unpack } from '../python/convert.js';
import { escapeMarkup } from '../python/markup.js';
import { quote, stringOf } from '../python/repr.js';
import { builtins } from '../python/signature.js';
import { sliceOf } from '../python/slices.js';
import { split } from '../python/text-search.js';
import { Dict, isText, isTrue, textOf, Undefined, type Value } from '../python/values.js';

/** A value in the form of addresses; in a query `/` too is written in that form, and spaces as `+`. */
function quoteUrl(value: Value, inQuery: boolean): string {
  const text = stringOf(value);
  if (/\p{Cs}/u.test(text)) fail('UnicodeEncodeError', 'surrogates not allowed');
  const quoted = encodeURIComponent(text).replace(
    /[!'()*]/g,
    (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return inQuery ? quoted.replaceAll('%20', '+') : quoted.replaceAll('%2F', '/');
}

function urlEncode(value: Value): string {
  if (isText(value) || !isIterable(value)) return quoteUrl(value, false);
  const pairs = value instanceof Dict ? [...value.entries()] : listOf(value).map((pair) => unpack(pair, 2));
  return pairs.map(([key, inner]) => `${quoteUrl(key!, true)}=${quoteUrl(inner!, true)}`).join('&');
}

function xmlAttributes(value: Value, autoSpace: Value): string {
  const attributes: string[] = [];
  for (const [key, inner] of toDict(value).entries()) {
    if (inner === null || inner instanceof Undefined) continue;
    const name = textOf(key) ?? fail('TypeError', 'expected string or bytes-like object');
    if (/[ \t\n\r\f\v/>=]/.test(name)) fail('ValueError', `Invalid character in attribute name: ${quote(name)}`);
    attributes.push(`${escapeMarkup(name).text}="${escapeMarkup(inner).text}"`);
  }
  const text = attributes.join(' ');
  return isTrue(autoSpace) && text !== '' ? ` ${text}` : text;
}

const label = `[${word}%-]`;
const notSpace = `[^${space}]`;
const digits = String.raw`\p{Nd}`;
const address = new RegExp(
  '^(?:' +
    `(?:https?://|www\\.)(?:(?:${label}+\\.)+)?(?:[a-z]{2,63}|xn--[${word}%]{2,59})` +
    `|(?:${label}{2,63}\\.)+(?:com|net|int|edu|gov|org|info|mil)` +
    `|https?://(?:${digits}{1,3}(?:\\.${digits}{1,3}){3}|\\[(?:[${digits}a-f]{0,4}:){2}(?:[${digits}a-f]{0,4}:?){1,6}\\])` +
    `)(?::${digits}{1,5})?(?:[/?#]${notSpace}*)?$`,
  'iu',
);
const email = new RegExp(`^${notSpace}+@[${word}][${word}.-]*\\.[${word}]+$`, 'u');
const scheme = new RegExp(`^(?:[${word}.+-]{2,}:/{0,2})$`, 'u');

/** The attributes of links, and how what is shown of them is cut. */
interface Links {
  attributes: string;
  shown: (text: string) => string;
  schemes: readonly string[];
}

function urlize(value: Value, limit: Value, noFollow: Value, target: Value, rel: Value, schemes: Value): string {
  const relations = new Set(isTrue(rel) ? split(toText(rel, 'rel'), null, -1, false) : []);
  if (isTrue(noFollow)) relations.add('nofollow');
  relations.add('noopener');
  const own = schemes === null ? [] : listOf(schemes).map((one) => toText(one, 'a scheme'));
  const wrong = own.find((one) => !scheme.test(one));
  if (wrong !== undefined) fail('FilterArgumentError', `${quote(wrong)} is not a valid URI scheme prefix.`);
  const links: Links = {
    attributes:
      ` rel="${escapeMarkup([...relations].sort().join(' ')).text}"` +
      (isTrue(target) ? ` target="${escapeMarkup(target).text}"` : ''),
    shown: (text) => (limit === null || lengthOf(text) <= toIndex(limit) ? text : shorten(text, toIndex(limit))),
    schemes: own,
  };
  const parts = escapeMarkup(value).text.split(new RegExp(`([${space}]+)`));
  return parts.map((part) => linked(part, links)).join('');
}

const shorten = (text: string, most: number) => `${stringOf(sliceOf(text, null, most, null))}...`;

/** A word, as a link if it is an address, with the punctuation around it outside. */
function linked(part: string, links: Links): string {
  const [head] = /^(?:[(<]|&lt;)*/.exec(part)!;
  const body = part.slice(head.length);
  const { middle, tail } = balanced(body);
  return head + linkOf(middle, links) + tail;
}

/** A word without the punctuation at its end, as far as that closes nothing in it. */
function balanced(body: string): { middle: string; tail: string } {
  const [end] = /(?:[)>.,\n]|&gt;)*$/.exec(body)!;
  let [middle, tail] = [body.slice(0, body.length - end.length), end];
  const count = (text: string, mark: string) => text.split(mark).length - 1;
  for (const [open, close] of [
    ['(', ')'],
    ['<', '>'],
    ['&lt;', '&gt;'],
  ] as const) {
    const opened = count(middle, open);
    if (opened <= count(middle, close)) continue;
    for (let i = Math.min(opened, count(tail, close)); i > 0; i--) {
      const cut = tail.indexOf(close) + close.length;
      middle += tail.slice(0, cut);
      tail = tail.slice(cut);
    }
  }
  return { middle, tail };
}

function linkOf(text: string, { attributes, shown, schemes }: Links): string {
  if (address.test(text)) {
    const isWhole = text.startsWith('https://') || text.startsWith('http://');
    return `<a href="${isWhole ? '' : 'https://'}${text}"${attributes}>${shown(text)}</a>`;
  }
  if (text.startsWith('mailto:') && email.test(text.slice(7))) return `<a href="${text}">${text.slice(7)}</a>`;
  const mayBeMail = text.includes('@') && !text.startsWith('www.') && !text.startsWith('@') && !text.includes(':');
  if (mayBeMail && email.test(text)) return `<a href="mailto:${text}">${text}</a>`;
  return schemes.reduce(
    (link, prefix) =>
      link !== prefix && link.startsWith(prefix) ? `<a href="${link}"${attributes}>${link}</a>` : link,
    text,
  );
}

export const htmlFilters = builtins({
  urlencode: ['value', urlEncode],
  urlize: ['value trim_url_limit=None nofollow=False target=None rel=None extra_schemes=None', urlize],
  xmlattr: ['d autospace=True', xmlAttributes],
});
