/** What is asked of the Hub over HTTP; with `upload.ts` all that knows @huggingface/hub. */
import { shown, UserError } from '../errors.js';
import { bytesAtMost, canFetch } from '../formats/index.js';
import { hiding } from '../secrets.js';
import { isCommit, isSafePath, type RepositoryName, repositoryText } from './names.js';
import { HubUnreachable, Patience, type Waiting } from './patience.js';
import type { HubSettings } from './settings.js';

/** A file of a repository, as the Hub describes it. */
export interface HubFile {
  path: string;
  /** In bytes. */
  size: number;
  /** What its bytes have to hash to: a file of Git LFS by SHA-256, another one as a Git blob by SHA-1. */
  hash: { algorithm: 'sha256' | 'git-sha1'; hex: string };
}

/** Files and folders of a repository; the largest have a tenth. */
const mostEntries = 200_000;
/** Answers that a list may come in, bytes of each, and the time of all. */
const mostPages = 2000;
const mostPageBytes = 1 << 26;
const longestListMs = 300_000;

/** A repository as it is at one commit. */
export interface Listing {
  commit: string;
  files: HubFile[];
}

/** What is asked, of whom, and how long it may take. */
export interface Session {
  repository: RepositoryName;
  settings: HubSettings;
  waiting: Waiting;
  signal?: AbortSignal | undefined;
}

/**
 * The commit of a revision and the files in it. Errors: HubUnreachable; UserError that says why it is not given out, or
 * that the answer makes no sense.
 */
export async function listRepository(session: Session): Promise<Listing> {
  if (!canFetch()) {
    throw new HubUnreachable(
      "there is not enough memory for downloads: Node's fetch takes 10 GB of addresses, and the limit (ulimit -v) allows " +
        'fewer: raise it, or download elsewhere and set HF_HUB_OFFLINE=1',
    );
  }
  const { datasetInfo, listFiles, modelInfo } = await library();
  const { repository, settings } = session;
  const { type, id, revision } = repository;
  const options = { hubUrl: settings.endpoint, fetch: pagesFetch(session) };
  const info = type === 'model' ? modelInfo<'sha'> : datasetInfo<'sha'>;
  const isUnread = (error: unknown) => error instanceof TypeError && asUnreachable(error, settings.endpoint) === error;
  return answered(settings, async () => {
    const { sha } = await info({ ...options, name: id, revision, additionalFields: ['sha'] });
    if (typeof sha !== 'string' || !isCommit(sha)) throw nonsense(repository, `${shown(sha)} as a commit`);
    const files: HubFile[] = [];
    let entries = 0;
    const repo = { type, name: id };
    for await (const entry of listFiles({ ...options, repo, recursive: true, revision: sha })) {
      if (typeof entry !== 'object' || entry === null) throw nonsense(repository, `${shown(entry)} as a file`);
      const { type: kind, path, size, oid, lfs } = entry;
      if (++entries > mostEntries) throw nonsense(repository, `more than ${mostEntries} files`);
      if (kind !== 'file') continue;
      if (typeof path !== 'string' || !isSafePath(path)) {
        throw nonsense(repository, `a file called ${shown(path)}, which would lie outside of its folder`);
      }
      const hash = lfs
        ? { algorithm: 'sha256' as const, hex: String(lfs.oid) }
        : { algorithm: 'git-sha1' as const, hex: String(oid) };
      const isHash = hash.algorithm === 'sha256' ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{40}$/;
      if (!isHash.test(hash.hex)) throw nonsense(repository, `${shown(hash.hex)} as the hash of ${shown(path)}`);
      const bytes = lfs?.size ?? size;
      if (!Number.isSafeInteger(bytes) || bytes < 0)
        throw nonsense(repository, `${shown(bytes)} as the size of ${shown(path)}`);
      files.push({ path, size: bytes, hash });
    }
    return { commit: sha, files };
  }).catch((error: unknown) => {
    // The library takes the answer for what it should be.
    throw isUnread(error) ? nonsense(repository, `what is no list of files (${(error as Error).message})`) : error;
  });
}

/** The bytes of a file from an offset on; `offset` is 0 where the server gives the whole file all the same. */
export interface OpenedFile {
  offset: number;
  body: AsyncIterable<Uint8Array>;
}

/**
 * What `use` makes of a file that is opened at a byte offset. Written here since the library's own
 * `downloadFileToCacheDir` begins every file anew, compares neither size nor hash and prints to stdout, and its blobs
 * take an answer with the whole file for the rest of it. Files that the Hub keeps in Xet come by the same address, put
 * together by the Hub. Errors: those of {@link listRepository} and of `use`.
 */
export async function openFile(
  session: Session,
  { commit, path, offset }: { commit: string; path: string; offset: number },
  use: (file: OpenedFile) => Promise<void>,
): Promise<void> {
  const { repository, settings, waiting } = session;
  const prefix = repository.type === 'dataset' ? 'datasets/' : '';
  const escaped = path.split('/').map(encodeURIComponent).join('/');
  const url = `${settings.endpoint}/${prefix}${repository.id}/resolve/${commit}/${escaped}`;
  // A compressed answer would have other offsets than the file.
  const headers = { 'accept-encoding': 'identity', ...(offset > 0 && { range: `bytes=${offset}-` }) };
  await answered(settings, () =>
    request(session, url, { headers }, Patience.forFile(waiting), async ({ status, headers }, body) => {
      const range = headers.get('content-range');
      const start = status === 206 ? Number(/^bytes (\d+)-/.exec(range ?? '')?.[1]) : 0;
      if (!Number.isSafeInteger(start)) throw nonsense(repository, `${shown(range)} as the part of ${shown(path)}`);
      await use({ offset: start, body });
    }),
  );
}

const version = '2.17.5';

/** The package that knows the Hub. Errors: UserError where it is not installed. */
export async function library(): Promise<typeof import('@huggingface/hub')> {
  try {
    return await import('@huggingface/hub');
  } catch (cause) {
    throw new UserError(`the Hub needs the package @huggingface/hub: npm install @huggingface/hub@${version}`, {
      cause,
    });
  }
}

/**
 * What `use` makes of an answer. The token is sent to the endpoint only (the library would refuse tokens of mirrors,
 * which do not begin with hf_; on a redirect to another host fetch itself drops it). The connection ends with `use`.
 * Errors: UserError that says what to do; those of fetch and of `use`.
 */
async function request<T>(
  { repository, settings, signal }: Session,
  address: string,
  init: RequestInit,
  patience: Patience,
  use: (response: Response, body: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<T> {
  const url = new URL(address);
  const headers = new Headers(init.headers);
  headers.set('user-agent', 'reanchor');
  const isEndpoint = url.origin === new URL(settings.endpoint).origin;
  if (settings.token !== undefined && isEndpoint) headers.set('authorization', `Bearer ${settings.token}`);
  signal?.throwIfAborted();
  const stop = new AbortController();
  const abort = () => stop.abort(signal?.reason);
  signal?.addEventListener('abort', abort);
  try {
    const response = await patience.for(fetch(url, { ...init, headers, signal: stop.signal }));
    if (!response.ok) throw refusal(response, repository, settings);
    if (!response.body) throw nonsense(repository, `no content at ${url.pathname}`);
    return await use(response, patience.pieces(response.body));
  } finally {
    signal?.removeEventListener('abort', abort);
    stop.abort();
  }
}

/** `fetch` for the pages of a list: each is asked for once and has an end, and there is an end of them. */
function pagesFetch(session: Session): typeof fetch {
  const { repository, settings, waiting } = session;
  const begun = waiting.clock.now();
  const seen = new Set<string>();
  return async (input, init = {}) => {
    const url = input instanceof Request ? input.url : String(input);
    if (seen.has(url) || seen.size === mostPages) throw nonsense(repository, 'a list of files without an end');
    if (waiting.clock.now() - begun > longestListMs) {
      throw new HubUnreachable(`${settings.endpoint} has not finished a list of files in ${longestListMs / 1000} s`);
    }
    seen.add(url);
    const patience = Patience.forAnswer(waiting, settings.answerMs);
    return request(session, url, init, patience, async ({ status, headers }, body) => {
      const bytes = await bytesAtMost(body, mostPageBytes);
      if (bytes !== undefined) return new Response(new Uint8Array(bytes), { status, headers });
      throw nonsense(repository, `a list of files with pages of more than ${mostPageBytes} bytes`);
    });
  };
}

/** The Hub has answered, and does not give something out. */
export class HubRefusal extends UserError {
  override name = 'HubRefusal';

  constructor(
    readonly status: number,
    /** In its header `x-error-code`. */
    readonly code: string | null,
    message: string,
  ) {
    super(message);
  }
}

/** Why the Hub does not give something out, by the code in its header and the status. */
function refusal(response: Response, repository: RepositoryName, settings: HubSettings): UserError {
  const { status, headers } = response;
  const refused = (message: string) => new HubRefusal(status, headers.get('x-error-code'), message);
  const { id, type, revision } = repository;
  const page = `${settings.endpoint}/${type === 'dataset' ? 'datasets/' : ''}${id}`;
  const name = repositoryText(repository);
  const code = headers.get('x-error-code');
  const token = settings.token === undefined ? 'set HF_TOKEN to a token' : 'the token that is set has to be one';
  if (status === 429 || status >= 500) {
    return new HubUnreachable(`${settings.endpoint} answers ${status} for ${name}: try again later`);
  }
  if (code === 'GatedRepo') {
    return refused(`${name} is gated: accept its terms at ${page}; ${token} of that account, with read access to it`);
  }
  if (code === 'RevisionNotFound') {
    return refused(`${id} has no revision ${revision}: ${page}/tree/main shows its branches and tags`);
  }
  if (code === 'RepoNotFound' || status === 401 || status === 404) {
    const kind = type === 'dataset' ? 'data set' : 'model';
    const local = `there is no folder ${id} here, and`;
    return refused(
      `${name}: ${local} ${settings.endpoint} shows no ${kind} of this name (status ${status}): check the name; if it is private or gated, ${token} of an account that may read it`,
    );
  }
  const why = withoutToken(headers.get('x-error-message') ?? 'no reason is given', settings).slice(0, 300);
  return refused(`${page} answers ${status} (${why}): may the account of the token read it?`);
}

/** What `ask` gives, with a failed connection as HubUnreachable, and no error with the token in it. */
async function answered<T>(settings: HubSettings, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    const error = asUnreachable(cause, settings.endpoint);
    if (error instanceof Error) error.message = withoutToken(error.message, settings);
    throw error;
  }
}

/** A text without the token: a server may repeat what it was sent. */
export const withoutToken = (text: string, { token }: HubSettings) =>
  hiding(token === undefined ? [] : [{ value: token, shown: '[token]' }])(text);

/** A failed connection, or an answer that is no JSON, as HubUnreachable; any other error as it is. */
export function asUnreachable(error: unknown, endpoint: string): unknown {
  // These are the words of Node's fetch for a connection that cannot be made, and for one that ends too early.
  const isConnection = error instanceof TypeError && ['fetch failed', 'terminated'].includes(error.message);
  if (!isConnection && !(error instanceof SyntaxError)) return error;
  const { cause, message } = error as { cause?: NodeJS.ErrnoException } & Error;
  const what = isConnection
    ? `cannot be reached (${cause?.code ?? cause?.message ?? message}): check the network, or HF_ENDPOINT`
    : `answers with what is no JSON (${message}): is HF_ENDPOINT the address of a Hub, or does the network show a page of its own?`;
  return new HubUnreachable(`${endpoint} ${what}; HF_HUB_OFFLINE=1 uses what is in the cache`, { cause: error });
}

const nonsense = (repository: RepositoryName, what: string) =>
  new UserError(`${repositoryText(repository)}: the Hub names ${what}; nothing of it is used`);
