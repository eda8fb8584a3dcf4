import { UsageError } from '../errors.js';
import { checkRecipeValue } from '../recipe/index.js';
import { numeric } from './flags.js';
import { inProcesses, type ProcessesFlags } from './processes.js';
import { downloadStatus, number } from './progress.js';
import { type Terminal, table } from './terminal.js';

/** The flags of `score` as commander gives them. */
export interface ScoreFlags extends ProcessesFlags {
  model?: string;
  adapter?: string;
  run?: string;
  data?: string[];
  out: string;
  reference?: string;
  referenceAdapter?: string;
  beta?: string;
  maxLength?: string;
  format?: string;
  chatTemplate?: string;
  keepIdentical?: boolean;
}

type Score = typeof import('../eval/score.js').score;
type ScoreOptions = Parameters<Score>[0];

/**
 * `reanchor score`: log-probabilities and rewards of each row as JSON lines in `out`; prints their summary. Returns the
 * exit code. `load` gives the library's functions.
 */
export async function scoreVerb(
  flags: ScoreFlags,
  mainTerminal: Terminal,
  load: () => Promise<{ score: Score; describeSkips: typeof import('../data/index.js').describeSkips }> = async () => ({
    ...(await import('../eval/score.js')),
    ...(await import('../data/index.js')),
  }),
): Promise<number> {
  if (flags.beta !== undefined && flags.reference === undefined && flags.run === undefined) {
    throw new UsageError(
      '--beta has no effect without --reference: a reward is beta times a log-ratio to the reference',
    );
  }
  const beta = given(flags.beta, (text) => checkRecipeValue('loss.beta', numeric(text), '--beta'));
  const maxLength = given(flags.maxLength, (text) => checkRecipeValue('data.maxLength', numeric(text), '--max-length'));
  const format = given(flags.format, (text) => checkRecipeValue('data.format', text, '--format'));
  return await inProcesses(flags, { terminal: mainTerminal }, async ({ terminal, world, device, signal }) => {
    const { score, describeSkips } = await load();
    const result = await score({
      model: flags.model,
      adapter: flags.adapter,
      run: flags.run,
      data: flags.data,
      out: flags.out,
      reference: flags.reference,
      referenceAdapter: flags.referenceAdapter,
      beta: beta as number | undefined,
      maxLength: maxLength as number | undefined,
      format: format as ScoreOptions['format'],
      chatTemplate: flags.chatTemplate,
      keepIdentical: flags.keepIdentical,
      ...{ world, device, signal },
      onDownload: downloadStatus(terminal),
      onNote: (note) => terminal.note(note),
      onProgress: (done, total) => terminal.status(`scoring ${Math.floor((100 * done) / total)} %`),
    });
    terminal.endStatus();
    for (const line of describeSkips(result.skipped)) terminal.note(line);
    const rows = [
      ['rows', number(result.rows)],
      ['scored', number(result.scored)],
      ['accuracy', result.accuracy.toFixed(4)],
      ['mean margin', result.meanMargin.toFixed(4)],
    ];
    for (const line of table(rows)) terminal.result(line);
    terminal.note(`wrote ${flags.out}`);
    return undefined;
  });
}

/** A flag's value made from its text, or undefined when the flag was not given. */
const given = <T>(text: string | undefined, make: (text: string) => T) => (text === undefined ? undefined : make(text));
