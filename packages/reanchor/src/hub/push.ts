/** A folder of this machine to a repository on the Hub. */
import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../clock.js';
import { UserError } from '../errors.js';
import { isRecord, readJson, readText, shardNames } from '../formats/index.js';
import { adapterFiles, isAdapterFolder } from './adapter-folder.js';
import { HubRefusal, type Listing, listRepository, type Session } from './client.js';
import { hashOf } from './download.js';
import { isOfUse } from './files-of-use.js';
import { modelFiles, modelOrAdapterFolder } from './model-folder.js';
import { isCommit, parseRepositoryName, type RepositoryName, repositoryText } from './names.js';
import type { HubOptions } from './repository.js';
import { hubSettings } from './settings.js';
import { commitFiles, createBranch, createRepository } from './upload.js';

/** What of a folder is pushed. */
export interface PushPlan {
  folder: string;
  kind: 'model' | 'adapter';
  files: { path: string; size: number }[];
  /** What else is in the folder, and stays here: state of training, events, whatever is no part of a model. */
  leftOut: string[];
  /** What others would miss, in sentences. */
  notes: string[];
}

/** How a folder is pushed. */
export interface PushOptions extends Pick<HubOptions, 'signal' | 'clock' | 'onNote'> {
  /** Makes a repository that is not there a private one. */
  isPrivate?: boolean | undefined;
  /** The message of the commit. Default: what is uploaded. */
  message?: string | undefined;
  /** Puts the files in the place of another model that is there. */
  force?: boolean | undefined;
  /** Hears how many bytes of the files to send are there. */
  onProgress?: ((progress: { done: number; total: number }) => void) | undefined;
}

/** What a push came to. */
export interface PushResult {
  /** The page of the repository. */
  url: string;
  commit: string;
  /** Paths of the files that are other than before, and of those that were removed. */
  sent: string[];
  deleted: string[];
}

const isCard = (path: string) => path === 'README.md';
const isLicence = (path: string) => /^(LICEN[CS]E|NOTICE|USE_POLICY)(\.\w+)?$/.test(path);
/** Files of a model or an adapter that are no weights and that it may have. */
const isBeside = (path: string) => path === 'tokenizer.json' || isOfUse(path) || isCard(path) || isLicence(path);
/** Whether a file of a repository would be taken for a part of the model in it. */
const isOfModel = (path: string) =>
  /^(config|adapter_config)\.json$|^(adapter_)?model.*\.safetensors(\.index\.json)?$/.test(path) ||
  path === 'tokenizer.json' ||
  isOfUse(path);

/**
 * What of a folder is pushed: the weights of a model or an adapter, its configuration, tokenizer, chat templates, card
 * and licence. Nothing is asked of the network. Errors: UserError for a folder that is neither, that of a run among
 * them, or that lacks a file; FormatError.
 */
export async function pushPlan(folder: string): Promise<PushPlan> {
  if (!existsSync(folder)) throw new UserError(`${folder} does not exist: name the folder of a model or of an adapter`);
  await modelOrAdapterFolder(folder);
  const isAdapter = isAdapterFolder(folder);
  const required: readonly string[] = isAdapter ? adapterFiles : await weightsOf(folder);
  const missing = required.filter((path) => !existsSync(join(folder, path)));
  if (missing.length > 0) {
    throw new UserError(
      `${folder} has no ${missing.join(', ')}: a model is a folder with config.json and safetensors weights, an adapter one with ${adapterFiles.join(' and ')}`,
    );
  }
  const there = await readdir(folder, { recursive: true });
  const paths = there.map((path) => path.replaceAll('\\', '/')).sort();
  const wanted = paths.filter((path) => required.includes(path) || isBeside(path));
  const files = await Promise.all(wanted.map(async (path) => ({ path, size: (await stat(join(folder, path))).size })));
  const kept = new Set(wanted.map((path) => path.split('/')[0]));
  const leftOut = paths.filter((path) => !path.includes('/') && !kept.has(path));
  const notes = [...(await cardNotes(folder)), ...(isAdapter ? await baseNotes(folder) : [])];
  return { folder, kind: isAdapter ? 'adapter' : 'model', files, leftOut, notes };
}

/** config.json and the files of the weights, as the index names them where there is one. */
async function weightsOf(folder: string): Promise<string[]> {
  const { config, single, index } = modelFiles;
  if (!existsSync(join(folder, index)) || existsSync(join(folder, single))) return [config, single];
  return [config, index, ...(await shardNames(join(folder, index)))];
}

async function cardNotes(folder: string): Promise<string[]> {
  const card = join(folder, 'README.md');
  if (!existsSync(card)) return ['there is no README.md: the page of the model will be empty'];
  const front = /^---\r?\n(.*?)\r?\n---/s.exec(await readText(card))?.[1] ?? '';
  if (/^license:/m.test(front)) return [];
  return ['README.md names no license: add a line such as license: apache-2.0 between its first two ---'];
}

/** Whether others will find the base of an adapter. */
async function baseNotes(folder: string): Promise<string[]> {
  const config = await readJson(join(folder, adapterFiles[0]));
  const base = isRecord(config) ? config.base_model_name_or_path : undefined;
  const isName = typeof base === 'string' && !existsSync(base) && parseRepositoryName(base, 'model') !== undefined;
  if (isName) return [];
  return [
    `adapter_config.json names ${JSON.stringify(base ?? null)} as its base, which nobody else has: push that too, and write its name on the Hub in base_model_name_or_path`,
  ];
}

/** A repository and a branch by `owner/name` or `owner/name@branch`. Errors: UserError. */
export function pushTarget(text: string): RepositoryName {
  const name = parseRepositoryName(text, 'model');
  if (!name) throw new UserError(`${text} is no repository: name it owner/name, or owner/name@branch`);
  if (isCommit(name.revision)) throw new UserError(`${text} names a commit, which cannot change: name a branch`);
  return name;
}

/**
 * Pushes what is planned as one commit. A repository, or a branch, that is not there is made, of which `onNote` hears.
 * Files that are there with the same content are not sent. Errors: UserError without a token, without the network
 * (HF_HUB_OFFLINE), and, unless `force` is given, where another model is there; those of `commitFiles`.
 */
export async function pushFolder(plan: PushPlan, target: RepositoryName, options: PushOptions): Promise<PushResult> {
  const session = sessionFor(target, options);
  const { endpoint } = session.settings;
  const listing = await listed(session);
  if (!listing) await make(session, options);
  else if (options.isPrivate)
    options.onNote?.(`${target.id} is there already, and stays as private or public as it is`);
  const url = `${endpoint}/${target.id}${target.revision === 'main' ? '' : `/tree/${target.revision}`}`;
  const { changed, replaced, deleted } = await compared(plan, listing);
  if (changed.length === 0 && deleted.length === 0) return { url, commit: listing!.commit, sent: [], deleted };
  const others = [...replaced, ...deleted];
  if (others.length > 0 && options.force !== true) {
    throw new UserError(
      (option) =>
        `${repositoryText(target)} has other files already (${others.slice(0, 5).join(', ')}${others.length > 5 ? ', ...' : ''}): name another repository, a branch of this one (${target.id}@branch), or ${option('force')} to replace them; its history keeps what is there`,
    );
  }
  const total = changed.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  const commit = await commitFiles(session, {
    files: changed.map(({ path }) => ({ path, file: join(plan.folder, path) })),
    deleted,
    message: options.message ?? `Upload ${plan.kind === 'model' ? 'a model' : 'an adapter'} with reanchor`,
    parent: listing?.commit,
    onBytes({ sent = 0, known = 0 }) {
      done += sent + known;
      options.onProgress?.({ done: Math.min(done, total), total });
    },
  });
  options.onProgress?.({ done: total, total });
  return { url, commit, sent: changed.map(({ path }) => path), deleted };
}

/** Errors: UserError where nothing can be sent. */
function sessionFor(repository: RepositoryName, { signal, clock = systemClock, onNote }: PushOptions): Session {
  const settings = hubSettings();
  const { endpoint, idleMs } = settings;
  if (settings.isOffline) throw new UserError('HF_HUB_OFFLINE is set: nothing is sent; unset it to push');
  if (settings.token === undefined) {
    throw new UserError(
      `there is no token: make one with write access at ${endpoint}/settings/tokens, and set HF_TOKEN to it, or use hf auth login`,
    );
  }
  return { repository, settings, waiting: { endpoint, clock, idleMs, onWait: onNote }, signal };
}

/** What is in the branch; undefined where there is no such repository, or branch. */
async function listed(session: Session): Promise<Listing | undefined> {
  try {
    return await listRepository(session);
  } catch (error) {
    const isAbsent = error instanceof HubRefusal && [401, 404].includes(error.status) && error.code !== 'GatedRepo';
    if (isAbsent) return undefined;
    throw error;
  }
}

/** Makes the repository, or the branch, or both. */
async function make(session: Session, { isPrivate = false, onNote }: PushOptions): Promise<void> {
  const { repository } = session;
  const main = { ...session, repository: { ...repository, revision: 'main' } };
  const isThere = repository.revision !== 'main' && (await listed(main)) !== undefined;
  if (!isThere) {
    await createRepository(session, isPrivate);
    onNote?.(`made ${repository.id}${isPrivate ? ', which is private' : ''}`);
  }
  if (repository.revision !== 'main') {
    await createBranch(session);
    onNote?.(`made the branch ${repository.revision}`);
  }
}

/** Which files differ from those that are there, and which of those belong to another model. */
async function compared({ folder, files }: PushPlan, listing: Listing | undefined) {
  const there = new Map(listing?.files.map((file) => [file.path, file]));
  const isSame = async ({ path, size }: { path: string; size: number }) => {
    const file = there.get(path);
    return file !== undefined && file.size === size && (await hashOf(file, join(folder, path))) === file.hash.hex;
  };
  const same = await Promise.all(files.map(isSame));
  const changed = files.filter((_, i) => !same[i]);
  const own = new Set(files.map(({ path }) => path));
  return {
    changed,
    replaced: changed.map(({ path }) => path).filter((path) => there.has(path)),
    deleted: [...there.keys()].filter((path) => !own.has(path) && isOfModel(path)),
  };
}
