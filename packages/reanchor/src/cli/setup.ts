import type { Terminal } from './terminal.js';

/** `reanchor setup`: finds or installs libtorch and builds the native part. */
export async function setupVerb(terminal: Terminal): Promise<void> {
  const { setup } = await import('@reanchor/torch/setup');
  await setup({
    log: (line) => terminal.note(line),
    progress: (text) => (text === undefined ? terminal.endStatus() : terminal.status(text)),
  });
}

/** `reanchor doctor`: prints what is there. Returns the exit code: 1 when training would not run. */
export async function doctorVerb(terminal: Terminal): Promise<number> {
  const { doctor, describeDoctor } = await import('@reanchor/torch/setup');
  const report = await doctor();
  for (const line of describeDoctor(report)) terminal.result(line);
  return report.problem === undefined ? 0 : 1;
}
