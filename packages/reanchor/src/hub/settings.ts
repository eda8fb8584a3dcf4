/** What the environment says about the Hub; the variables and their meaning are those of Python's huggingface_hub. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../errors.js';
import { readFileSync } from '../formats/index.js';

export interface HubSettings {
  /** The address of the Hub, without a slash at its end. */
  endpoint: string;
  /** The token that is sent to the endpoint, and to it alone. */
  token: string | undefined;
  /** The folder that holds `models--owner--name` and the like. */
  cache: string;
  /** Nothing may be asked of the network. */
  isOffline: boolean;
  /** Without a byte for so long, nothing more is expected of the Hub. */
  idleMs: number;
  /** So long one answer about a repository may take. */
  answerMs: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The settings in the environment: HF_ENDPOINT; HF_TOKEN, else the file HF_TOKEN_PATH, else `token` in HF_HOME;
 * HF_HUB_CACHE, else `hub` in HF_HOME (by default ~/.cache/huggingface); HF_HUB_OFFLINE; HF_HUB_DOWNLOAD_TIMEOUT and
 * HF_HUB_ETAG_TIMEOUT in seconds. Errors: UserError for values that cannot be meant.
 */
export function hubSettings(env: Environment = process.env): HubSettings {
  const home = folder(env.HF_HOME) ?? join(folder(env.XDG_CACHE_HOME) ?? join(homedir(), '.cache'), 'huggingface');
  return {
    endpoint: endpointOf(env),
    token: tokenOf(env, home),
    cache: folder(env.HF_HUB_CACHE) ?? folder(env.HUGGINGFACE_HUB_CACHE) ?? join(home, 'hub'),
    isOffline: isTrue(env.HF_HUB_OFFLINE) || isTrue(env.TRANSFORMERS_OFFLINE),
    idleMs: 1000 * seconds(env, 'HF_HUB_DOWNLOAD_TIMEOUT', 10),
    answerMs: 1000 * seconds(env, 'HF_HUB_ETAG_TIMEOUT', 15),
  };
}

const isTrue = (value: string | undefined) => ['1', 'ON', 'YES', 'TRUE'].includes((value ?? '').toUpperCase());

/** A folder of the environment, with `~` for the home folder; undefined where it is not set. */
const folder = (value: string | undefined) => (value ? value.replace(/^~(?=$|\/)/, homedir()) : undefined);

/** A time of the environment; there is no waiting without an end. */
function seconds(env: Environment, name: string, fallback: number): number {
  const given = env[name];
  if (!given) return fallback;
  const value = Number(given);
  if (value > 0 && value <= 3600) return value;
  throw new UserError(`${name} is ${JSON.stringify(given)}; a number of seconds above 0, up to 3600, is needed`);
}

function endpointOf({ HF_ENDPOINT: given }: Environment): string {
  if (!given) return 'https://huggingface.co';
  // What is refused may have a password in it, and is not repeated.
  if (!URL.canParse(given) || !['http:', 'https:'].includes(new URL(given).protocol)) {
    throw new UserError('HF_ENDPOINT is no address such as https://huggingface.co');
  }
  const { username, password } = new URL(given);
  if (username || password || /[?#]/.test(given)) {
    throw new UserError(
      'HF_ENDPOINT has a user name, a password or a query in it: set the address alone, such as https://huggingface.co, and a token by HF_TOKEN',
    );
  }
  return given.replace(/\/+$/, '');
}

function tokenOf(env: Environment, home: string): string | undefined {
  const given =
    env.HF_TOKEN || env.HUGGING_FACE_HUB_TOKEN || tokenFile(folder(env.HF_TOKEN_PATH) ?? join(home, 'token'));
  const token = given?.trim();
  if (!token) return undefined;
  // It becomes a header; its value is not repeated in the message.
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new UserError(
      'the token of the Hub (HF_TOKEN, or the token file) has a space or another character that no token has',
    );
  }
  return token;
}

function tokenFile(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
