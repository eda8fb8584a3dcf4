/** Who writes to MLflow, as its own client is told: by variables of the environment. */
import { hiding, shortestKey } from '../secrets.js';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The credentials in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or else in MLFLOW_TRACKING_TOKEN. They
 * belong to the origin (scheme, host and port) of MLFLOW_TRACKING_URI and are sent to no other: where metrics go is
 * said by a recipe, which may be a stranger's.
 */
export class MlflowCredentials {
  /** What each request says of who writes; nothing where the credentials belong to another server. */
  readonly headers: Readonly<Record<string, string>> = {};
  /** Why there are credentials and they are not sent, in a sentence. */
  readonly withheld: string | undefined;
  /** A text without the credentials, which a server may repeat, and with `shown` for the address. */
  readonly hide: (text: string) => string;

  constructor(address: string, shown: string, env: Environment) {
    const given = givenIn(env);
    const own = originOf(env.MLFLOW_TRACKING_URI);
    if (given !== undefined && own === originOf(address)) this.headers = { authorization: given.header };
    else if (given !== undefined) {
      const why = own === undefined ? 'is not set to an address' : 'is another one';
      this.withheld = `${given.names} not sent to ${shown}: they belong to the server of MLFLOW_TRACKING_URI, which ${why}; set that to this address if they are for it`;
    }
    const secrets = given?.secrets.filter((value) => value.length >= shortestKey) ?? [];
    const hosts = shown === address ? [] : [address, new URL(address).host];
    this.hide = hiding([
      ...secrets.map((value) => ({ value, shown: '[hidden]' })),
      ...hosts.map((value) => ({ value, shown })),
    ]);
  }
}

function givenIn(env: Environment): { names: string; header: string; secrets: string[] } | undefined {
  const { MLFLOW_TRACKING_TOKEN: token, MLFLOW_TRACKING_USERNAME: user, MLFLOW_TRACKING_PASSWORD: password } = env;
  if (user && password) {
    const pair = Buffer.from(`${user}:${password}`).toString('base64');
    const names = 'MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD are';
    return { names, header: `Basic ${pair}`, secrets: [pair, password] };
  }
  return token ? { names: 'MLFLOW_TRACKING_TOKEN is', header: `Bearer ${token}`, secrets: [token] } : undefined;
}

function originOf(address: string | undefined): string | undefined {
  if (address === undefined || !URL.canParse(address)) return undefined;
  const { protocol, origin } = new URL(address);
  return /^https?:$/.test(protocol) ? origin : undefined;
}
