// The Hugging Face Hub's HTTP interface on the loopback device, as far as models and data sets are read and models are
// pushed. Repositories are files in memory; large ones are redirected to a second host, as the Hub redirects to its
// stores, and are sent there.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

export type Files = Record<string, string | Uint8Array>;

interface RepositoryOptions {
  /** Files by path, of each branch or tag. */
  revisions: Record<string, Files>;
  /** A gated repository gives files only to this token. */
  gatedFor?: string;
  /** A private one is not there for any other. */
  privateFor?: string;
}

interface Snapshot {
  commit: string;
  files: Map<string, Buffer>;
}

export interface LoggedRequest {
  host: 'hub' | 'store';
  method: string;
  path: string;
  range: string | undefined;
  authorization: string | undefined;
}

const isLarge = (path: string) => /\.(safetensors|parquet|gz|bin)$/.test(path);
const hex = (algorithm: string, ...parts: (string | Uint8Array)[]) => {
  const hash = createHash(algorithm);
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

/** A Hub that serves until it is disposed of. */
export class HubServer {
  readonly requests: LoggedRequest[] = [];
  /** Sends so many bytes of a file and breaks the connection when `once` is resolved; one time each time it is set. */
  breakAfter: { path: string; bytes: number; once: Promise<void> } | undefined;
  /** Gives other bytes than the repository holds for a file. */
  corrupt: string | undefined;
  /** Answers everything with this status. */
  failWith: number | undefined;
  /** Answers a request for the rest of a file with all of it. */
  ignoresRange = false;
  /** Who may write: this token; 403 for others, 401 without one. */
  writableFor = 'hf_write';
  /** Breaks the connection, once, after so many bytes of the n-th large file that is sent (from 0). */
  breakUpload: { file: number; bytes: number } | undefined;
  /** Large files are sent in parts of so many bytes. */
  partBytes: number | undefined;
  /** Changes a repository just before a commit, as somebody else would. */
  beforeCommit: (() => void) | undefined;
  endpoint = '';

  /** Large files that were sent, by their SHA-256, and the parts of those that are not whole. */
  readonly blobs = new Map<string, Buffer>();
  readonly #parts = new Map<string, Buffer>();
  #sent = 0;

  #store = '';
  readonly #repositories = new Map<string, RepositoryOptions & { snapshots: Map<string, Snapshot> }>();
  readonly #servers: Server[] = [];

  static async start(): Promise<HubServer> {
    const hub = new HubServer();
    hub.#store = await hub.#listen((request, response) => hub.#answerStore(request, response));
    hub.endpoint = await hub.#listen((request, response) => hub.#answerHub(request, response));
    return hub;
  }

  /** Adds `models/owner/name` or `datasets/owner/name`; returns the commit of each revision. */
  add(name: string, options: RepositoryOptions): Record<string, string> {
    const snapshots = new Map<string, Snapshot>();
    for (const [revision, given] of Object.entries(options.revisions)) {
      const files = new Map(Object.entries(given).map(([path, bytes]) => [path, Buffer.from(bytes)]));
      const commit = hex('sha1', ...[...files].flat());
      snapshots.set(revision, { commit, files });
      snapshots.set(commit, { commit, files });
    }
    this.#repositories.set(name, { ...options, snapshots });
    return Object.fromEntries(Object.keys(options.revisions).map((name) => [name, snapshots.get(name)!.commit]));
  }

  /** The files of a branch. */
  files(name: string, revision = 'main'): Record<string, string> {
    const { files } = this.#repositories.get(name)!.snapshots.get(revision)!;
    return Object.fromEntries([...files].map(([path, bytes]) => [path, bytes.toString('latin1')]));
  }

  /** The requests for the content of files. */
  downloads(): LoggedRequest[] {
    return this.requests.filter(({ path, host }) => host === 'store' || path.includes('/resolve/'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  async #listen(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
    const server = createServer(answer);
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  #log(host: 'hub' | 'store', { method, url, headers }: IncomingMessage): void {
    const { range, authorization } = headers;
    this.requests.push({ host, method: method!, path: url!, range, authorization });
  }

  #answerHub(request: IncomingMessage, response: ServerResponse): unknown {
    this.#log('hub', request);
    const refuse = (status: number, code = '', message = '') => {
      response.writeHead(status, { 'x-error-code': code, 'x-error-message': message }).end();
    };
    if (this.failWith !== undefined) return refuse(this.failWith);
    if (request.method === 'POST') return void this.#answerWrite(request, response, refuse);
    const { pathname, searchParams } = new URL(request.url!, this.endpoint);
    const api = /^\/api\/(models|datasets)\/([^/]+\/[^/]+)\/(revision|tree)\/([^/]+)$/.exec(pathname);
    const resolve = /^\/(datasets\/)?([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(pathname);
    const name = api ? `${api[1]}/${api[2]}` : `${resolve?.[1] ? 'datasets' : 'models'}/${resolve?.[2]}`;
    const repository = this.#repositories.get(name);
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
    const isHidden = repository?.privateFor !== undefined && token !== repository.privateFor;
    if (!repository || isHidden) return refuse(401, 'RepoNotFound', 'Repository not found');
    const snapshot = repository.snapshots.get(decodeURIComponent(api?.[4] ?? resolve![3]!));
    if (!snapshot) return refuse(404, 'RevisionNotFound', 'Invalid rev id');
    if (api?.[3] === 'revision') return this.#answerInfo(response, name, snapshot);
    if (api) return this.#answerTree(response, pathname, snapshot, Number(searchParams.get('cursor') ?? 0));
    if (repository.gatedFor !== undefined && token !== repository.gatedFor) {
      return refuse(token === undefined ? 401 : 403, 'GatedRepo', 'Access to this repository is restricted');
    }
    const path = decodeURIComponent(resolve![4]!);
    const bytes = snapshot.files.get(path);
    if (!bytes) return refuse(404, 'EntryNotFound', 'Entry not found');
    response.setHeader('x-repo-commit', snapshot.commit);
    if (!isLarge(path)) return this.#send(request, response, path, bytes, hex('sha1', `blob ${bytes.length}\0`, bytes));
    const sha256 = hex('sha256', bytes);
    response.setHeader('x-linked-etag', `"${sha256}"`);
    response.setHeader('x-linked-size', bytes.length);
    response.writeHead(302, { location: `${this.#store}/${name}/${snapshot.commit}/${path}` }).end();
  }

  async #answerWrite(request: IncomingMessage, response: ServerResponse, refuse: (status: number) => void) {
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
    const body = (await bodyOf(request)).toString();
    if (token === undefined || token === 'undefined') return refuse(401);
    if (token !== this.writableFor) return refuse(403);
    const { pathname } = new URL(request.url!, this.endpoint);
    if (pathname === '/api/repos/create') {
      const { organization, name, visibility } = JSON.parse(body);
      const key = `models/${organization}/${name}`;
      if (this.#repositories.has(key)) return refuse(409);
      const isPrivate = visibility === 'private';
      this.add(key, { revisions: { main: { '.gitattributes': '' } }, ...(isPrivate && { privateFor: token }) });
      return json(response, { url: `${this.endpoint}/${organization}/${name}`, id: name });
    }
    const batch = /^\/([^/]+\/[^/]+)\.git\/info\/lfs\/objects\/batch$/.exec(pathname);
    const api = /^\/api\/models\/([^/]+\/[^/]+)\/(preupload|branch|commit)\/([^/]+)$/.exec(pathname);
    const repository = this.#repositories.get(`models/${batch?.[1] ?? api?.[1]}`);
    if (!repository) return refuse(404);
    if (batch) return json(response, { transfer: 'basic', objects: JSON.parse(body).objects.map(this.#offer, this) });
    const revision = decodeURIComponent(api![3]!);
    if (api![2] === 'branch') {
      const commit = hex('sha1', revision);
      for (const key of [revision, commit]) repository.snapshots.set(key, { commit, files: new Map() });
      return json(response, {});
    }
    if (api![2] === 'preupload') {
      const files = (JSON.parse(body).files as { path: string }[]).map(({ path }) => path);
      return json(response, { files: files.map((path) => ({ path, uploadMode: isLarge(path) ? 'lfs' : 'regular' })) });
    }
    this.beforeCommit?.();
    const lines = body.split('\n').map((line) => JSON.parse(line));
    const { commit } = this.#repositories.get(`models/${api![1]}`)!.snapshots.get(revision)!;
    if (![undefined, commit].includes(lines[0].value.parentCommit)) return refuse(412);
    json(response, { commitOid: this.#commit(`models/${api![1]}`, revision, lines), commitUrl: '' });
  }

  /** What is to be done for a large file: nothing if it is there. */
  #offer({ oid, size }: { oid: string; size: number }) {
    if (this.blobs.has(oid)) return { oid, size };
    const href = `${this.#store}/upload/${oid}`;
    if (this.partBytes === undefined) return { oid, size, actions: { upload: { href } } };
    const count = Math.ceil(size / this.partBytes);
    const parts = Array.from({ length: count }, (_, i) => [String(i + 1).padStart(5, '0'), `${href}/${i + 1}`]);
    const header = { chunk_size: String(this.partBytes), ...Object.fromEntries(parts) };
    return { oid, size, actions: { upload: { href, header } } };
  }

  /** Makes the commit that its lines describe; returns its name. */
  #commit(name: string, revision: string, lines: { key: string; value: Record<string, string> }[]): string {
    const { snapshots } = this.#repositories.get(name)!;
    const files = new Map(snapshots.get(revision)!.files);
    for (const { key, value } of lines) {
      const { path, content, oid } = value;
      if (key === 'file') files.set(path!, Buffer.from(content!, 'base64'));
      if (key === 'lfsFile') files.set(path!, this.blobs.get(oid!)!);
      if (key === 'deletedFile') files.delete(path!);
    }
    const commit = hex('sha1', ...[...files].flat(), lines[0]!.value.summary!);
    for (const key of [revision, commit]) snapshots.set(key, { commit, files });
    return commit;
  }

  /** Takes a large file, whole or in parts, and what ends the parts. */
  async #answerUpload(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const [, oid, part] = /^\/upload\/([0-9a-f]{64})(?:\/(\d+))?$/.exec(path)!;
    if (this.breakUpload?.file === this.#sent++) {
      const { bytes } = this.breakUpload;
      this.breakUpload = undefined;
      let heard = 0;
      for await (const chunk of request) {
        heard += chunk.length;
        if (heard >= bytes) return void request.destroy();
      }
    }
    const bytes = await bodyOf(request);
    if (request.method === 'POST') {
      const { parts } = JSON.parse(bytes.toString()) as { parts: { partNumber: number; etag: string }[] };
      const whole = Buffer.concat(parts.map(({ partNumber }) => this.#parts.get(`${oid} ${partNumber}`)!));
      this.blobs.set(oid!, whole);
      return json(response, {});
    }
    // A store takes no body whose length it is not told.
    if (Number(request.headers['content-length']) !== bytes.length) return void response.writeHead(411).end();
    if (part === undefined) this.blobs.set(oid!, bytes);
    else this.#parts.set(`${oid} ${part}`, bytes);
    response.setHeader('etag', `"${hex('sha256', bytes)}"`).end();
  }

  #answerInfo(response: ServerResponse, name: string, { commit, files }: Snapshot): void {
    const id = name.split('/').slice(1).join('/');
    const siblings = [...files.keys()].map((rfilename) => ({ rfilename }));
    json(response, {
      _id: '0',
      id,
      sha: commit,
      private: false,
      gated: false,
      tags: [],
      downloads: 0,
      likes: 0,
      siblings,
    });
  }

  /** Two entries a page, so that pages are followed. */
  #answerTree(response: ServerResponse, pathname: string, { files }: Snapshot, cursor: number): void {
    const folders = [...files.keys()].flatMap((path) =>
      path.includes('/') ? [path.slice(0, path.lastIndexOf('/'))] : [],
    );
    const entries = [
      ...[...new Set(folders)].map((path) => ({ type: 'directory', oid: hex('sha1', path), size: 0, path })),
      ...[...files].map(([path, bytes]) => {
        const blob = { type: 'file', oid: hex('sha1', `blob ${bytes.length}\0`, bytes), size: bytes.length, path };
        if (!isLarge(path)) return blob;
        return { ...blob, lfs: { oid: hex('sha256', bytes), size: bytes.length, pointerSize: 134 } };
      }),
    ];
    const next = `<${this.endpoint}${pathname}?recursive=true&cursor=${cursor + 2}>; rel="next"`;
    if (cursor + 2 < entries.length) response.setHeader('link', next);
    json(response, entries.slice(cursor, cursor + 2));
  }

  #answerStore(request: IncomingMessage, response: ServerResponse): void {
    this.#log('store', request);
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      // Of a connection that was broken nobody hears.
      return void this.#answerUpload(request, response, request.url!).catch(() => {});
    }
    const [type, owner, name, commit, ...path] = request.url!.slice(1).split('/').map(decodeURIComponent);
    const bytes = this.#repositories
      .get(`${type}/${owner}/${name}`)!
      .snapshots.get(commit!)!
      .files.get(path.join('/'))!;
    this.#send(request, response, path.join('/'), bytes, hex('sha256', bytes));
  }

  #send(request: IncomingMessage, response: ServerResponse, path: string, content: Buffer, etag: string): void {
    const bytes = this.corrupt === path ? Buffer.from(content).fill(0, 0, 1) : content;
    const start = this.ignoresRange ? 0 : Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    response.setHeader('etag', `"${etag}"`);
    response.setHeader('content-length', bytes.length - start);
    if (start > 0) response.setHeader('content-range', `bytes ${start}-${bytes.length - 1}/${bytes.length}`);
    response.statusCode = start > 0 ? 206 : 200;
    if (request.method === 'HEAD') return void response.end();
    if (this.breakAfter?.path !== path) return void response.end(bytes.subarray(start));
    const { bytes: sent, once } = this.breakAfter;
    const end = start + sent;
    this.breakAfter = undefined;
    response.write(bytes.subarray(start, end));
    void once.then(() => response.destroy());
  }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function json(response: ServerResponse, value: unknown): void {
  response.setHeader('content-type', 'application/json').end(JSON.stringify(value));
}

/** The files of a folder, for {@link HubServer.add}. */
export function filesOf(folder: string): Files {
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(paths.map(({ name }) => [name, readFileSync(join(folder, name))]));
}
