/** How a run is resumed, in the words of the command line that began it, or of code where none did. */
type Command = readonly string[] | undefined;

/** `--resume`. */
export const resumeFlag = (command: Command) => (command === undefined ? 'resume: true' : '--resume');

/** What to do to go on with a run: in its folder, or in `out`. */
export function resumeHint(command: Command, out?: string): string {
  if (command === undefined) return `call train() with ${out === undefined ? '' : `out: '${out}' and `}resume: true`;
  return `repeat the command with ${out === undefined ? '' : `--out ${out} `}--resume`;
}
