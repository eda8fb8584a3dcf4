import { UsageError } from '../errors.js';
import { pushFolder, pushPlan, pushTarget, repositoryText } from '../hub/index.js';
import { bytes, countOf } from './progress.js';
import { stopOnSignals } from './signals.js';
import { type Terminal, table } from './terminal.js';

/** The flags of `push` as commander gives them. */
export interface PushFlags {
  to?: string;
  private?: boolean;
  message?: string;
  force?: boolean;
  dryRun?: boolean;
}

/** `reanchor push`: a model or an adapter to the Hub; prints what is pushed, and where it is then. */
export async function pushVerb(folder: string, flags: PushFlags, terminal: Terminal): Promise<void> {
  const target = flags.to === undefined ? undefined : pushTarget(flags.to);
  if (!target && !flags.dryRun) {
    throw new UsageError(
      `push takes the repository to send to: --to owner/name (or --dry-run, to see what would be sent)`,
    );
  }
  const plan = await pushPlan(folder);
  const total = plan.files.reduce((sum, { size }) => sum + size, 0);
  const rows = [...plan.files, { path: `${countOf(plan.files.length, 'file')} in all`, size: total }];
  for (const line of table(rows.map(({ path, size }) => [path, bytes(size)]))) terminal.result(line);
  if (plan.leftOut.length > 0) terminal.note(`what stays here: ${plan.leftOut.join(', ')}`);
  for (const note of plan.notes) terminal.note(`${terminal.colors.yellow('note:')} ${note}`);
  if (!target || flags.dryRun) {
    const visibility = flags.private ? 'a private repository' : 'a repository';
    const name = target ? repositoryText(target) : 'the one that --to names';
    terminal.note(
      `nothing was sent or asked: without --dry-run this ${plan.kind} goes to ${name}, ${visibility} that is made unless it is there`,
    );
    return;
  }
  const name = repositoryText(target);
  using stop = stopOnSignals();
  const result = await pushFolder(plan, target, {
    isPrivate: flags.private,
    message: flags.message,
    force: flags.force,
    signal: stop.signal,
    onNote: (note) => terminal.note(note),
    onProgress: ({ done, total }) => terminal.status(`pushing ${name}  ${bytes(done)} of ${bytes(total)}`),
  });
  terminal.endStatus();
  if (result.sent.length + result.deleted.length === 0) terminal.note(`${name} has all of it already`);
  else terminal.note(`sent ${countOf(result.sent.length, 'file')}`);
  if (result.deleted.length > 0) terminal.note(`removed of what was there: ${result.deleted.join(', ')}`);
  terminal.result(`${result.url} (commit ${result.commit})`);
}
