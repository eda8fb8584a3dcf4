import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findExecutable, launch } from '@reanchor/torch/host';
import type { DashboardFlags } from './commands/dashboard.js';
import { numberFlag } from './flags.js';
import { stopOnSignals } from './signals.js';
import type { Terminal } from './terminal.js';

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
  using _page = flags.open ? openBrowser(dashboard.url, terminal) : undefined;
  using stop = stopOnSignals();
  const signal = until ?? stop.signal;
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/**
 * Opens a browser by a file that this user alone can read: what programs are started with is seen by everybody on the
 * machine. The file is removed when what is returned is disposed.
 */
function openBrowser(url: string, terminal: Terminal): Disposable | undefined {
  const failed = () => terminal.note('no browser could be opened: open the address above');
  const opener = findExecutable(process.platform === 'darwin' ? '/usr/bin/open' : 'xdg-open');
  if (opener === undefined) {
    failed();
    return undefined;
  }
  let folder: string;
  let file: string;
  try {
    // Others may not enter a folder that mkdtemp makes.
    folder = mkdtempSync(join(tmpdir(), 'reanchor-open-'));
    file = join(folder, 'dashboard.html');
    writeFileSync(file, openingPage(url), { mode: 0o600 });
  } catch {
    failed();
    return undefined;
  }
  launch(opener, [file], failed);
  return { [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}

/** A page that goes to the address, which is one of {@link serveDashboard}: it has no character that HTML escapes. */
export const openingPage = (url: string) => `<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url=${url}">
<title>reanchor</title>
<a href="${url}">The dashboard</a>
`;
