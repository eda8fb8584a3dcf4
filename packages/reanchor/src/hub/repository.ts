/** A repository at one commit, from the Hub or from the cache alone. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, systemClock } from '../clock.js';
import { UserError } from '../errors.js';
import { requireWritable, writeError } from '../formats/index.js';
import { RepositoryCache } from './cache.js';
import { type HubFile, type Listing, listRepository, openFile, type Session } from './client.js';
import { downloadBlob, unfinishedBytes } from './download.js';
import { type RepositoryName, repositoryText } from './names.js';
import { HubUnreachable } from './patience.js';
import { hubSettings } from './settings.js';

/** How far a download is. */
export interface DownloadProgress {
  /** `owner/name`. */
  repository: string;
  /** The file that is being fetched. */
  file: string;
  /** Bytes that are there, and bytes in all, of the files asked for that were not there before. */
  done: number;
  total: number;
  /** What has been waited for for five seconds, in words; then the numbers say nothing new. */
  waiting?: string;
}

/** What is heard of downloads from the Hub, and what stops them. */
export interface HubOptions {
  onDownload?: ((progress: DownloadProgress) => void) | undefined;
  /** Hears what is worth a warning, in sentences. */
  onNote?: ((note: string) => void) | undefined;
  /** Hears which commit a name stood for. */
  onCommit?: ((name: string, commit: string) => void) | undefined;
  /** Stops a download; what is there of a file is kept, and continued by the next one. */
  signal?: AbortSignal | undefined;
  /** By which it waits; the system's when left out. */
  clock?: Clock | undefined;
}

export interface Repository {
  commit: string;
  /** The folder where its files are once they have been asked for. */
  folder: string;
  /** The files that there are, as paths in the folder. */
  paths: readonly string[];
  /** Makes sure that files are in the folder. Errors: UserError for one that there is not, and those of a download. */
  get(paths: readonly string[]): Promise<void>;
}

/**
 * A repository at the commit that its revision is now. Where the network is not to be used (HF_HUB_OFFLINE) or the Hub
 * does not answer, it is what the cache holds of the commit that the revision was last. Errors: HubUnreachable,
 * UserError.
 */
export async function openRepository(name: RepositoryName, options: HubOptions = {}): Promise<Repository> {
  const repository = await repositoryNow(name, options);
  options.onCommit?.(repositoryText(name), repository.commit);
  return repository;
}

async function repositoryNow(name: RepositoryName, options: HubOptions): Promise<Repository> {
  const settings = hubSettings();
  const cache = new RepositoryCache(settings.cache, name);
  if (settings.isOffline) return cachedRepository(name, cache);
  const onWait = (waiting: string) =>
    options.onDownload?.({ repository: name.id, file: '', done: 0, total: 0, waiting });
  const waiting = { endpoint: settings.endpoint, clock: options.clock ?? systemClock, idleMs: settings.idleMs, onWait };
  const session = { repository: name, settings, waiting, signal: options.signal };
  try {
    const listing = await listRepository(session);
    return hubRepository({ session, listing, cache, options });
  } catch (error) {
    options.signal?.throwIfAborted();
    if (!(error instanceof HubUnreachable) || cache.commit() === undefined) throw error;
    options.onNote?.(`${repositoryText(name)}: ${error.message}; the copy in ${cache.folder} is used`);
    return cachedRepository(name, cache);
  }
}

function cachedRepository(name: RepositoryName, cache: RepositoryCache): Repository {
  const text = repositoryText(name);
  const how = 'nothing is downloaded now (HF_HUB_OFFLINE, or the Hub does not answer): do it once with the network';
  const commit = cache.commit();
  const folder = commit === undefined ? undefined : cache.snapshot(commit);
  if (commit === undefined || folder === undefined || !existsSync(folder)) {
    throw new UserError(
      `${text}: there is no folder of this name, it is not in the cache (${cache.folder}), and ${how}`,
    );
  }
  const paths = cache.files(commit);
  return {
    commit,
    folder,
    paths,
    get: async (wanted) => {
      const missing = wanted.filter((path) => !paths.includes(path));
      if (missing.length === 0) return;
      throw new UserError(`${text}: ${missing.join(', ')} is not in the cache (${folder}), and ${how}`);
    },
  };
}

interface Opened {
  session: Session;
  listing: Listing;
  cache: RepositoryCache;
  options: HubOptions;
}

function hubRepository(opened: Opened): Repository {
  const { session, listing, cache, options } = opened;
  const files = new Map(listing.files.map((file) => [file.path, file]));
  return {
    commit: listing.commit,
    folder: cache.snapshot(listing.commit),
    paths: [...files.keys()].sort(),
    get: async (wanted) => {
      const missing = wanted.filter((path) => !files.has(path));
      if (missing.length > 0) {
        const name = repositoryText(session.repository);
        throw new UserError(`${name} has no ${missing.join(', ')} (commit ${listing.commit})`);
      }
      try {
        await fetchAll(
          wanted.map((path) => files.get(path)!),
          opened,
        );
      } catch (error) {
        options.signal?.throwIfAborted();
        throw error;
      }
    },
  };
}

/** Downloads what is not in the cache, and only then shows all of it in the snapshot. */
async function fetchAll(files: readonly HubFile[], { session, listing, cache, options }: Opened): Promise<void> {
  const { commit } = listing;
  const snapshot = cache.snapshot(commit);
  const absent = files.filter((file) => !existsSync(join(snapshot, file.path)));
  const toFetch = absent.filter(({ hash }) => !existsSync(cache.blob(hash.hex)));
  const total = toFetch.reduce((sum, { size }) => sum + size, 0);
  if (toFetch.length > 0) {
    await mkdir(cache.folder, { recursive: true }).catch((error) => {
      throw writeError(cache.folder, error);
    });
    const there = await Promise.all(toFetch.map(({ hash }) => unfinishedBytes(cache.blob(hash.hex))));
    await requireWritable(cache.folder, total - there.reduce((sum, size) => sum + size, 0));
  }
  const repository = session.repository.id;
  let before = 0;
  for (const file of toFetch) {
    const { path, size, hash } = file;
    await downloadBlob(file, cache.blob(hash.hex), {
      open: (offset, use) => openFile(session, { commit, path, offset }, use),
      onBytes: (bytes) => options.onDownload?.({ repository, file: path, done: before + bytes, total }),
      signal: options.signal,
      waiting: session.waiting,
    });
    before += size;
  }
  for (const { path, hash } of absent) await cache.link(commit, path, hash.hex);
  await cache.setCommit(commit);
}
