/** A recipe while it is made of somebody else's options: what was read, what was set, what is to be told. */
import { nearest, recipeKeys } from '../recipe/index.js';
import { type Options, outcomeOf } from './option.js';

/** Something to be told of an option. */
export interface Remark {
  /** The option, as the file has it; of something that the file does not have, what it is about. */
  option: string;
  text: string;
}

/** A value of the recipe, and where it comes from. */
export interface Setting {
  value: unknown;
  comment: string;
}

/** The options of a file as they are read, and the recipe that is made of them. */
export class Draft {
  /** Values by the dotted paths of keys. */
  readonly settings = new Map<string, Setting>();
  /** What changes the training and could not be translated. */
  readonly missing: Remark[] = [];
  /** What is the same, or of no harm, and worth knowing. */
  readonly remarks: Remark[] = [];
  /** What has no effect here, by options. */
  readonly harmless: Remark[] = [];
  readonly #given: ReadonlyMap<string, unknown>;
  readonly #defaults: Readonly<Record<string, unknown>>;
  readonly #names: ReadonlyMap<string, string>;
  readonly #read = new Set<string>();

  /**
   * `defaults` are the values of options that are left out. `names` are what options are called in the file, where that
   * is not their own name.
   */
  constructor(
    given: ReadonlyMap<string, unknown>,
    defaults: Readonly<Record<string, unknown>>,
    names: ReadonlyMap<string, string> = new Map(),
  ) {
    this.#given = given;
    this.#defaults = defaults;
    this.#names = names;
  }

  /** Whether the file has the option. */
  has(option: string): boolean {
    return this.#given.has(option);
  }

  /** What the option is called in the file. */
  nameOf(option: string): string {
    return this.#names.get(option) ?? option;
  }

  /** The value of an option, or what holds when it is left out. */
  value(option: string): unknown {
    this.#read.add(option);
    return this.#given.has(option) ? this.#given.get(option) : this.#defaults[option];
  }

  /** The same as a number: texts of numbers are numbers, as the arguments of a command are. */
  number(option: string): number | undefined {
    const value = this.value(option) ?? this.#defaults[option];
    if (value === null || value === undefined) return undefined;
    const number = typeof value === 'string' && value.trim() !== '' ? Number(value.replaceAll('_', '')) : value;
    if (typeof number === 'number' && Number.isFinite(number)) return number;
    this.miss(option, 'is no number, and is left out');
    const other = this.#defaults[option];
    return typeof other === 'number' ? other : undefined;
  }

  /** The same as a choice of yes and no, also by the words that the arguments of a command have for them. */
  flag(option: string): boolean {
    const value = this.value(option);
    if (typeof value === 'string') return /^(true|yes|y|t|1)$/i.test(value.trim());
    return value === true || value === 1;
  }

  /** The same as a text; undefined of none. */
  text(option: string): string | undefined {
    const value = this.value(option);
    return value === null || value === undefined || value === '' ? undefined : String(value);
  }

  /** Sets a key of the recipe, unless there is no value for it; the comment says which options it comes from. */
  set(path: string, value: unknown, ...options: string[]): void {
    if (value !== undefined) this.settings.set(path, { value, comment: this.#origin(options) });
  }

  /** Tells of something that changes the training and is not in the recipe. */
  miss(option: string, text: string): void {
    this.missing.push({ option: this.nameOf(option), text });
  }

  /** Tells of something that is worth knowing. */
  remark(option: string, text: string): void {
    this.remarks.push({ option: this.nameOf(option), text });
  }

  /** Tells of all options of the file that nothing was made of, by what the table of the format says. */
  tellRest(options: Options, format: string): void {
    for (const [option, value] of this.#given) {
      if (this.#read.has(option) && this.#isNamed(option)) continue;
      const outcome = outcomeOf(option, options);
      if (outcome === 'untranslated') {
        const { why, off } = options.untranslated[option]!;
        if (!off.some((one) => isSame(one, value))) this.miss(option, why);
      } else if (outcome === undefined) {
        const near = nearest(option, Object.values(options).flatMap(Object.keys));
        this.miss(option, `is no option that ${format} is known to have${near ? `; was ${near} meant?` : ''}`);
      } else if (outcome === 'harmless' || !isSame(this.#defaults[option], value)) {
        const why = outcome === 'harmless' ? options.harmless[option]! : 'it has no more to say here';
        this.harmless.push({ option: this.nameOf(option), text: why });
      }
    }
  }

  /** Whether a comment or a remark names an option that was read. */
  #isNamed(option: string): boolean {
    const name = this.nameOf(option);
    const comments = [...this.settings.values()].flatMap(({ comment }) => comment.split(', '));
    const told = [...this.missing, ...this.remarks, ...this.harmless].map((one) => one.option);
    return [...comments, ...told].includes(name);
  }

  /** Where a value comes from: the options that the file has, or the default of the format. */
  #origin(options: readonly string[]): string {
    const given = options.filter((option) => this.#given.has(option)).map((option) => this.nameOf(option));
    if (given.length > 0) return [...new Set(given)].join(', ');
    return options.length > 0 ? `default of ${options.join(', ')}` : '';
  }
}

/** Whether two plain values are the same; numbers may be texts. */
function isSame(a: unknown, b: unknown): boolean {
  if (typeof a === 'number' && typeof b === 'string' && b.trim() !== '') return a === Number(b);
  if (typeof a === 'boolean' && typeof b === 'string') return String(a) === b.toLowerCase();
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** The values of a draft as a recipe has them, sections in sections, in the order of the documentation. */
export function recipeOf(settings: ReadonlyMap<string, Setting>): Record<string, unknown> {
  const recipe: Record<string, unknown> = {};
  for (const path of inOrder(settings)) {
    const names = path.split('.');
    let section = recipe;
    for (const name of names.slice(0, -1)) {
      section[name] ??= {};
      section = section[name] as Record<string, unknown>;
    }
    section[names.at(-1)!] = settings.get(path)!.value;
  }
  return recipe;
}

/** The paths of settings in the order of the documentation. */
export function inOrder(settings: ReadonlyMap<string, Setting>): string[] {
  const paths = recipeKeys().map(({ path }) => path);
  const unknown = [...settings.keys()].find((path) => !paths.includes(path));
  if (unknown !== undefined) throw new Error(`internal: no recipe key ${unknown}`);
  return paths.filter((path) => settings.has(path));
}
