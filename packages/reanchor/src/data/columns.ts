/** Columns of rows that nothing reads: told once, unless they are known to say nothing about what is learnt. */

/** Words that a column is a description of its row by: what it is called, where it comes from, how it was judged. */
const describing = words(`
  id ids idx index uid uuid guid hash md5 name names path file line split subset config origin source sources url urls
  dataset category categories topic topics domain domains task tasks tag tags type language languages lang locale
  model models generator annotator annotators author judge llm metadata meta date time timestamp created updated
  version license status seed difficulty complexity quality safety toxicity correct agreement confidence
`);
/** Words for numbers about a text; a column of them may go on with what they are about: score_chosen, num_turns. */
const measuring = words(`
  score scores rating ratings rank ranks ranking margin delta reward rewards logp logps logprob logprobs
  num count counts length lengths len tokens words chars turns has is
`);

function words(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/));
}

/** Whether a column is known to be no part of the text: `prompt_id`, `score_chosen`, `__index_level_0__`. */
function isDescribing(column: string): boolean {
  const parts = column
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .split(/[^a-z]+/)
    .filter((part) => part !== '' && part !== 'level');
  const [first, last] = [parts[0] ?? 'id', parts.at(-1) ?? 'id'];
  return measuring.has(first) || measuring.has(last) || describing.has(last);
}

/** Counts the columns that hold something and are not read. */
export class UnreadColumns {
  readonly #counts = new Map<string, number>();
  #rows = 0;

  /** Takes a row: its columns with something in them, and those that were read. */
  add(columns: readonly string[], read: ReadonlySet<string>): void {
    this.#rows++;
    for (const name of columns) {
      if (read.has(name)) continue;
      const count = this.#counts.get(name);
      if (count !== undefined || !isDescribing(name)) this.#counts.set(name, (count ?? 0) + 1);
    }
  }

  /** A sentence about each of them, the most frequent first; `name` is what was read. */
  notes(name: string): string[] {
    const found = [...this.#counts].sort(([, a], [, b]) => b - a);
    const number = (value: number) => value.toLocaleString('en-US');
    return found.slice(0, 8).map(([column, count]) => {
      const rows = count === this.#rows ? 'its rows' : `${number(count)} of ${number(this.#rows)} rows`;
      return `${name}: the column ${JSON.stringify(column.slice(0, 60))} of ${rows} is not read`;
    });
  }
}
