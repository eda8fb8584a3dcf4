/** Entities of HTML. Source: Python's `html.unescape`. */
import { unsupported } from '../errors.js';

/** The characters from U+00A0 to U+00FF. Their names need no semicolon. */
const latin1 = [
  'nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute micro',
  'para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil',
  'Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave',
  'Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml',
  'igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute',
  'thorn yuml',
]
  .join(' ')
  .split(' ');
const byName = new Map([
  ...latin1.map((name, i) => [name, String.fromCharCode(0xa0 + i)] as const),
  ...Object.entries({ amp: '&', lt: '<', gt: '>', quot: '"', AMP: '&', LT: '<', GT: '>', QUOT: '"' }),
  ...Object.entries({ COPY: '\xa9', REG: '\xae' }),
]);

/** A text with entities as the text that it stands for. Errors: Unsupported for names that need their semicolon. */
export function unescapeHtml(text: string): string {
  return text.replace(/&(#\d+;?|#[xX][\da-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)/g, (_all, entity: string) =>
    entity.startsWith('#') ? ofNumber(entity.slice(1).replace(';', '')) : ofName(entity),
  );
}

function ofName(entity: string): string {
  if (entity === 'apos;') return "'";
  for (let length = entity.length; length > 1; length--) {
    const character = byName.get(entity.slice(0, length));
    if (character === undefined) continue;
    const rest = entity.slice(length);
    // With a longer name in front of a semicolon it may be an entity of its own.
    if (rest !== '' && rest !== ';' && rest.endsWith(';')) break;
    return character + rest.replace(/^;$/, '');
  }
  return /^\w+;$/.test(entity) ? unsupported(`the HTML entity &${entity}`) : `&${entity}`;
}

function ofNumber(digits: string): string {
  const code = /^[xX]/.test(digits) ? Number.parseInt(digits.slice(1), 16) : Number(digits);
  if (code >= 0x80 && code < 0xa0) return new TextDecoder('windows-1252').decode(Uint8Array.of(code));
  if (code === 0 || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff) return '\ufffd';
  const isControl = (code < 0x20 && ![9, 10, 12, 13].includes(code)) || code === 0x7f;
  const isNothing = isControl || (code >= 0xfdd0 && code < 0xfdf0) || (code & 0xfffe) === 0xfffe;
  return isNothing ? '' : String.fromCodePoint(code);
}
