/**
 * Characters as Python tells them apart: by code points and the properties of Unicode. JavaScript's own ideas differ:
 * its lengths count UTF-16 units, its white space has U+FEFF and lacks U+001C to U+001F and U+0085.
 */

/** White space, for the inside of a character class: that of `str.isspace`, and of `\s` in Python's patterns. */
export const space = String.raw`\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000`;
const spaces = new RegExp(`^[${space}]+$`);
/** Where `splitlines` cuts, as a pattern. */
export const lineBreak = String.raw`\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]`;

/** Digits that are no decimal ones, in numbers of Unicode: superscripts, in circles, with dots. */
const otherDigits =
  '\\xb2\\xb3\\xb9\\u1369-\\u1371\\u19da\\u2070\\u2074-\\u2079\\u2080-\\u2089\\u2460-\\u2468\\u2474-\\u247c\\u2488-\\u2490' +
  '\\u24ea\\u24f5-\\u24fd\\u24ff\\u2776-\\u277e\\u2780-\\u2788\\u278a-\\u2792' +
  '\\u{10a40}-\\u{10a43}\\u{10e60}-\\u{10e68}\\u{11052}-\\u{1105a}\\u{1f100}-\\u{1f10a}';
/** Han characters that are numbers. */
const hanNumbers =
  '㐅㒃㠪㭍一七万三九二五亖亿什仟仨伍佰億兆兩八六十千卄卅卌叁参參叄四壱壹幺廾廿弌弍弎弐拾捌柒漆玖百肆萬貮貳贰阡陆陌陸零' +
  '\\uf96b\\uf973\\uf978\\uf9b2\\uf9d1\\uf9d3\\uf9fd\\u{20001}\\u{20064}\\u{200e2}\\u{20121}\\u{2092a}\\u{20983}\\u{2098c}' +
  '\\u{2099c}\\u{20aea}\\u{20afd}\\u{20b19}\\u{22390}\\u{22998}\\u{23b1b}\\u{2626d}\\u{2f890}';
const digit = `\\p{Nd}${otherDigits}`;
const numeric = `\\p{N}${hanNumbers}`;

const all = (inside: string) => {
  const pattern = new RegExp(`^[${inside}]+$`, 'u');
  return (text: string) => pattern.test(text);
};

/** Python's `str.is...` of texts of which each character has a property. */
export const isAlpha = all('\\p{L}');
export const isDecimal = all('\\p{Nd}');
export const isDigit = all(digit);
export const isNumeric = all(numeric);
export const isAlphanumeric = all(`\\p{L}${numeric}${otherDigits}`);
export const isSpace = (text: string) => spaces.test(text);
export const isAscii = (text: string) => /^[\0-\x7f]*$/.test(text);
export const isIdentifier = (text: string) => /^[\p{XID_Start}_]\p{XID_Continue}*$/u.test(text);

/** What `repr` writes as it is: no controls, separators, or code points without a character. */
export const isPrintable = (text: string) => /^(?:[^\p{C}\p{Z}]| )*$/u.test(text);

/** `\w` of Python's patterns, for the inside of a character class. */
export const word = `\\p{L}${numeric}${otherDigits}_`;

/** Whether some of a text's letters have a case, and all of those are lower. */
export const isLower = (text: string) => /\p{Lowercase}/u.test(text) && !/[\p{Uppercase}\p{Lt}]/u.test(text);
export const isUpper = (text: string) => /\p{Uppercase}/u.test(text) && !/[\p{Lowercase}\p{Lt}]/u.test(text);

/** Whether a text has characters beyond U+FFFF, which are two units each. */
const hasPairs = (text: string) => /[\ud800-\udbff][\udc00-\udfff]/.test(text);

/** The number of code points. */
export function lengthOf(text: string): number {
  if (!hasPairs(text)) return text.length;
  let length = 0;
  for (const _ of text) length++;
  return length;
}

/** The code points from `start` to before `stop`, which count from the start of the text and are in it. */
export function slicePoints(text: string, start: number, stop: number): string {
  if (!hasPairs(text)) return text.slice(start, stop);
  const from = unitsOf(text, 0, start);
  return text.slice(from, unitsOf(text, from, stop - start));
}

/** The UTF-16 unit that is so many code points behind another one. */
function unitsOf(text: string, from: number, points: number): number {
  let at = from;
  for (let left = points; left > 0 && at < text.length; left--) at += text.codePointAt(at)! > 0xffff ? 2 : 1;
  return at;
}

/** -1, 0 or 1, as a text comes before, is, or comes after another one by code points. */
export function compareTexts(a: string, b: string): -1 | 0 | 1 {
  if (a === b) return 0;
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) return rank(x) < rank(y) ? -1 : 1;
  }
  return a.length < b.length ? -1 : 1;
}

/** The order of UTF-16 units by code points: pairs come after U+FFFF. */
const rank = (unit: number) => (unit >= 0xd800 && unit < 0xe000 ? unit + 0x2000 : unit >= 0xe000 ? unit - 0x800 : unit);
