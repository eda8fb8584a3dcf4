import type { AddressInfo } from 'node:net';
import { serve as serveHttp } from '@hono/node-server';
import { UserError } from '../errors.js';
import { dashboardApp } from './app.js';
import { addressPart, newToken, requireHost } from './guard.js';
import { Library } from './library.js';
import { ServedFolder } from './served-folder.js';
import { pageFiles } from './static-files.js';

/** What a dashboard shows, and where it listens. */
export interface ServeOptions {
  /** The folder whose runs are shown. */
  folder: string;
  /** 0: any free port. */
  port: number;
  /** 127.0.0.1 when left out: this machine alone. */
  host?: string | undefined;
}

/** A dashboard that runs; disposing it ends it. */
export interface Dashboard extends AsyncDisposable {
  /** Where to open it, token included: whoever has it sees all runs. */
  url: string;
  port: number;
  token: string;
}

/**
 * Starts the dashboard over a folder of runs. It reads and never writes, and shows nothing outside of the folder.
 * Errors: UserError for a folder that cannot be read, a port that is taken, a page that has not been built; UsageError
 * for a host that is none.
 */
export async function serveDashboard({ folder, port, host = '127.0.0.1' }: ServeOptions): Promise<Dashboard> {
  requireHost(host);
  const token = newToken();
  const closed = new AbortController();
  const library = new Library(await ServedFolder.at(folder));
  const app = dashboardApp({ library, token, host, page: await pageFiles(), closed: closed.signal });
  const server = serveHttp({ fetch: app.fetch, port, hostname: host });
  await new Promise<void>((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', (error: NodeJS.ErrnoException) => {
      const isTaken = error.code === 'EADDRINUSE';
      reject(
        isTaken
          ? new UserError(
              (option) => `port ${port} of ${host} is taken: name another one with ${option('port')} (0: any free one)`,
            )
          : new UserError(
              (option) =>
                `${host}, port ${port}: ${error.message}: name another with ${option('host')} and ${option('port')}`,
            ),
      );
    });
  });
  // A first look, so that the list is there when a browser is; what is wrong with it is told to the one who asks.
  library.list().catch(() => {});
  const { port: actual, address } = server.address() as AddressInfo;
  return {
    url: `http://${addressPart(host, address)}:${actual}/?token=${token}`,
    port: actual,
    token,
    [Symbol.asyncDispose]: async () => {
      closed.abort();
      const ended = new Promise((resolve) => server.close(resolve));
      if ('closeAllConnections' in server) server.closeAllConnections();
      await ended;
    },
  };
}
