/** What is there: versions, devices, threads and how fast a matrix product is. */
import { arch, availableParallelism, cpus, platform } from 'node:os';
import { addonFile, addonOrigin, addonProblem } from './build.js';
import { type HalfPrecision, halfPrecision, halfPrecisionText } from './half-precision.js';
import { cacheFolder, type Located, type Rejected, searchLibtorch, THREE_WAYS } from './locate.js';
import { ncclHeaders } from './nccl.js';

/** What {@link doctor} found. */
export interface DoctorReport {
  node: string;
  platform: string;
  cpu: string;
  cores: number;
  cacheFolder: string;
  libtorch: Located | undefined;
  rejected: Rejected[];
  /** The addon, if there is one. */
  addon: string | undefined;
  /** How it came there: from which package, or compiled by what and why. */
  addonOrigin: string | undefined;
  /** Why the addon does not run, or what to do first. */
  problem: string | undefined;
  /** Only where the addon runs. */
  runtime:
    | {
        devices: string[];
        threads: number;
        vectors: string;
        blas: string;
        oneDNN: string;
        /** What the CPU has for products of 16-bit numbers. */
        halfPrecision: HalfPrecision;
        gflops: number;
        matmul: string;
        /** What processes compute together by: gloo; nccl, or why not. */
        backends: string;
        /** What compiles kernels of our own for a GPU, or why there is nothing. */
        kernels: string;
      }
    | undefined;
}

/**
 * Looks at everything that training needs. Loads the addon if there is one; `seconds` is the time given to the matrix
 * product.
 */
export async function doctor({ seconds = 2 }: { seconds?: number } = {}): Promise<DoctorReport> {
  const { located, rejected } = searchLibtorch();
  const report: DoctorReport = {
    node: process.version,
    platform: `${platform()} ${arch()}`,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    cacheFolder: cacheFolder(),
    libtorch: located,
    rejected,
    addon: undefined,
    addonOrigin: undefined,
    problem: undefined,
    runtime: undefined,
  };
  if (located === undefined) {
    report.problem = `no libtorch was found.\n${THREE_WAYS}`;
    return report;
  }
  const file = addonFile(located);
  report.problem = addonProblem(file);
  if (report.problem !== undefined) return report;
  report.addon = file;
  report.addonOrigin = addonOrigin(file);
  try {
    const { describeNvrtc } = await import('./device-kernels.js');
    const backends = await describeBackends(located);
    report.runtime = { ...(await measure(seconds)), backends, kernels: describeNvrtc(located) };
  } catch (error) {
    report.problem = (error as Error).message;
  }
  return report;
}

async function describeBackends(located: Located): Promise<string> {
  const { backends } = await import('./index.js');
  const names = backends();
  if (names.includes('nccl')) return names.join(', ');
  const headers = ncclHeaders(located);
  const why = 'why' in headers ? headers.why : 'the headers are there, but the addon does not compile with them';
  return `${names.join(', ')}; no nccl: ${why}`;
}

async function measure(seconds: number): Promise<Omit<NonNullable<DoctorReport['runtime']>, 'backends' | 'kernels'>> {
  const torch = await import('./index.js');
  const config = torch.nativeConfig();
  const count = torch.deviceCount();
  const device = count > 0 ? 'cuda' : 'cpu';
  const size = device === 'cuda' ? 4096 : 1024;
  const gflops = torch.noGrad(() =>
    torch.tidy(() => {
      const a = torch.randn([size, size], { device });
      const b = torch.randn([size, size], { device });
      torch.linear(a, b).dispose();
      torch.synchronize(device);
      const begin = performance.now();
      let products = 0;
      while (performance.now() - begin < seconds * 1000) {
        for (let i = 0; i < (device === 'cuda' ? 20 : 1); i++) torch.linear(a, b).dispose();
        torch.synchronize(device);
        products += device === 'cuda' ? 20 : 1;
      }
      return (2 * size ** 3 * products) / (performance.now() - begin) / 1e6;
    }),
  );
  return {
    devices: ['cpu', ...Array.from({ length: count }, (_, i) => `cuda:${i}`)],
    threads: torch.getNumThreads(),
    vectors: config.cpu,
    blas: /BLAS_INFO=(\w+)/.exec(config.build)?.[1] ?? 'unknown',
    oneDNN: config.oneDNN.replace(/^.*?(v[\d.]+).*$/, '$1') || 'absent',
    halfPrecision: halfPrecision(),
    gflops,
    matmul: `${size} x ${size} float32 on ${device}${device === 'cpu' ? `, by ${config.products}` : ''}`,
  };
}

/** The report as lines for people. */
export function describeDoctor(report: DoctorReport): string[] {
  const { libtorch, runtime } = report;
  const rows: [string, string][] = [
    ['node', `${report.node} on ${report.platform}`],
    ['cpu', `${report.cpu}, ${report.cores} cores`],
    ['cache', report.cacheFolder],
    ['libtorch', libtorch ? `${libtorch.version}, by ${libtorch.way}: ${libtorch.folder}` : 'none'],
    ...report.rejected.map(({ way, why }): [string, string] => ['', `not by ${way}: ${why}`]),
    ['addon', report.addon ?? 'none'],
    ...(report.addonOrigin ? [['', report.addonOrigin] as [string, string]] : []),
  ];
  if (runtime) {
    rows.push(
      ['devices', runtime.devices.join(', ')],
      ['threads', `${runtime.threads}`],
      ['BLAS', `${runtime.blas}, oneDNN ${runtime.oneDNN}, ${runtime.vectors}`],
      ['half', halfPrecisionText[runtime.halfPrecision]],
      ['groups', runtime.backends],
      ['kernels', runtime.kernels],
      ['matmul', `${runtime.gflops.toFixed(1)} GFLOP/s (${runtime.matmul})`],
    );
  }
  if (report.problem !== undefined) rows.push(['problem', report.problem]);
  return rows.map(([name, text]) => `${name.padEnd(9)} ${text}`.trimEnd());
}
