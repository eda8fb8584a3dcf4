import { findExecutable, launch } from '@reanchor/torch/host';
import { numberFlag } from './flags.js';
import { stopOnSignals } from './signals.js';
import type { Terminal } from './terminal.js';

/** The flags of `dashboard` as commander gives them. */
export interface DashboardFlags {
  port: string;
  host: string;
  open?: boolean;
}

/** `reanchor dashboard [RUNS]`: serves the page until a signal, such as that of Ctrl-C, and prints its address. */
export async function dashboardVerb(
  folder: string,
  flags: DashboardFlags,
  terminal: Terminal,
  until?: AbortSignal,
): Promise<void> {
  const port = numberFlag('--port', flags.port, { integer: true, min: 0, max: 65535 });
  const { serveDashboard, isLoopback } = await import('../serve/index.js');
  await using dashboard = await serveDashboard({ folder, port, host: flags.host });
  terminal.result(dashboard.url);
  if (!isLoopback(flags.host)) {
    const { colors } = terminal;
    terminal.note(
      `${colors.yellow('warning:')} other machines can reach it, without encryption; whoever has the address above sees all runs`,
    );
  }
  terminal.note(`runs in ${folder}; Ctrl-C ends it`);
  if (flags.open) openBrowser(dashboard.url, terminal);
  using stop = stopOnSignals();
  const signal = until ?? stop.signal;
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function openBrowser(url: string, terminal: Terminal): void {
  const failed = () => terminal.note('no browser could be opened: open the address above');
  const opener = findExecutable(process.platform === 'darwin' ? '/usr/bin/open' : 'xdg-open');
  if (opener === undefined) failed();
  else launch(opener, [url], failed);
}
