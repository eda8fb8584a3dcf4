import temml from 'temml';

/** A formula as MathML, which browsers draw. One that stands alone may be wider than a phone: keys can scroll it. */
export const formula = (source: string, displayMode: boolean) =>
  temml.renderToString(source, { displayMode }).replace('<math', displayMode ? '<math tabindex="0"' : '<math');
