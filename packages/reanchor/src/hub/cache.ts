/** The Hub's cache on disk, in the layout that Python's huggingface_hub reads and writes. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { copyFile, mkdir, readlink, rename, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { readFileSync, temporaryName, writeError, writeFileAtomic } from '../formats/index.js';
import { isCommit, type RepositoryName } from './names.js';

/**
 * Where a repository lies in the cache: `blobs/<hash>` are its files, `snapshots/<commit>/<path>` links to them,
 * `refs/<revision>` the commit that a branch or tag last was.
 */
export class RepositoryCache {
  readonly folder: string;

  constructor(
    cache: string,
    private readonly repository: RepositoryName,
  ) {
    this.folder = join(cache, `${repository.type}s--${repository.id.replace('/', '--')}`);
  }

  /** The commit that the revision was when it was last asked for. */
  commit(): string | undefined {
    const { revision } = this.repository;
    if (isCommit(revision)) return revision;
    try {
      const commit = readFileSync(join(this.folder, 'refs', revision), 'utf8').trim();
      return isCommit(commit) ? commit : undefined;
    } catch {
      return undefined;
    }
  }

  /** The folder of the files of a commit, as a user of the files sees them. */
  snapshot(commit: string): string {
    return join(this.folder, 'snapshots', commit);
  }

  /** The files of a commit that are there, as paths in it. */
  files(commit: string): string[] {
    const snapshot = this.snapshot(commit);
    if (!existsSync(snapshot)) return [];
    return readdirSync(snapshot, { recursive: true, encoding: 'utf8' })
      .filter((path) => statSync(join(snapshot, path), { throwIfNoEntry: false })?.isFile())
      .sort();
  }

  blob(hash: string): string {
    return join(this.folder, 'blobs', hash);
  }

  /** Remembers what the revision is now. */
  async setCommit(commit: string): Promise<void> {
    const { revision } = this.repository;
    if (isCommit(revision) || this.commit() === commit) return;
    const file = join(this.folder, 'refs', revision);
    await mkdir(dirname(file), { recursive: true });
    await writeFileAtomic(file, commit);
  }

  /** Shows a blob as a file of a commit; where the disk has no links, by a copy. */
  async link(commit: string, path: string, hash: string): Promise<void> {
    const file = join(this.snapshot(commit), path);
    const target = relative(dirname(file), this.blob(hash));
    try {
      if ((await readlink(file).catch(() => undefined)) === target) return;
      await mkdir(dirname(file), { recursive: true });
      const temporary = temporaryName(file);
      await symlink(target, temporary).catch(() => copyFile(this.blob(hash), temporary));
      await rename(temporary, file);
    } catch (error) {
      throw writeError(file, error);
    }
  }
}
