/** What a format has options for, and what becomes of each here: the tables that the translators and the docs go by. */

/** An option that becomes keys of the recipe. */
export interface Translated {
  /** The keys of the recipe, or sections of them. */
  to: readonly string[];
  /** What is done with its value, where the names alone do not say it. */
  how?: string;
}

/** An option that has no counterpart here, and would change the training. */
interface Untranslated {
  why: string;
  /** The values with which it changes nothing: what a run does here anyway. */
  off: readonly unknown[];
}

/** The options of a format by their names. */
export interface Options {
  translated: Readonly<Record<string, Translated>>;
  /** Why an option has no effect here: it is about other things than what is trained, or done in any case. */
  harmless: Readonly<Record<string, string>>;
  untranslated: Readonly<Record<string, Untranslated>>;
}

/** What becomes of an option. */
export type Outcome = keyof Options;

/** What a format's table says of a name; undefined of one that it does not know. */
export function outcomeOf(name: string, options: Options): Outcome | undefined {
  return (['translated', 'harmless', 'untranslated'] as const).find((kind) => Object.hasOwn(options[kind], name));
}
