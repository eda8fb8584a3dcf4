// The fused log-probability against its composed form (logits, log-softmax, gather), forward and backward, float32.
//
//   npx tsx bench/linear-logprob.ts [rounds = 7] [threads = 1]
//
// Both in one process, alternating; medians. Memory is the peak of tensors above the inputs and the two gradients,
// which both forms need; `logits` is M x V x 4 bytes.
import { linearLogprob, memory, randn, resetPeak, setNumThreads, type Tensor, tensor, tidy } from '@reanchor/torch';

const [rounds = 7, threads = 1] = process.argv.slice(2).map(Number);
setNumThreads(threads);

const forms: Record<string, (hidden_MD: Tensor, weight_VD: Tensor, targets_M: Tensor) => Tensor> = {
  fused: (hidden_MD, weight_VD, targets_M) => linearLogprob(hidden_MD, weight_VD, targets_M),
  composed: (hidden_MD, weight_VD, targets_M) =>
    hidden_MD.matmul(weight_VD.t()).logSoftmax(-1).gather(1, targets_M.unsqueeze(1)).squeeze(1),
};

console.log(
  '| rows M, width D, vocabulary V | fused, ms | composed, ms | ratio | fused, MB | composed, MB | logits, MB |',
);
console.log('|---|---|---|---|---|---|---|');
for (const [M, D, V] of [
  [1000, 64, 512],
  [336, 512, 50304],
  [2048, 256, 32000],
  [4096, 512, 128256],
] as const) {
  tidy(() => {
    const hidden_MD = randn([M, D]).requiresGrad_();
    const weight_VD = randn([V, D])
      .mul(D ** -0.5)
      .requiresGrad_();
    const targets_M = tensor(
      Int32Array.from({ length: M }, (_, i) => (7919 * i) % V),
      { dtype: 'int64' },
    );
    const times: Record<string, number[]> = { fused: [], composed: [] };
    const peaks: Record<string, number> = {};
    const gradientBytes = 4 * D * (M + V);
    const megabytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
    for (let round = 0; round <= rounds; round++) {
      for (const [name, form] of Object.entries(forms)) {
        resetPeak();
        const before = memory().tensorBytes;
        const start = performance.now();
        tidy(() => form(hidden_MD, weight_VD, targets_M).sum().backward());
        peaks[name] = memory().peakTensorBytes - before - gradientBytes;
        if (round > 0) times[name]!.push(performance.now() - start);
        hidden_MD.grad = null;
        weight_VD.grad = null;
      }
    }
    const [fused, composed] = ['fused', 'composed'].map((name) => times[name]!.sort((a, b) => a - b)[rounds >> 1]!);
    console.log(
      `| ${M}, ${D}, ${V} | ${fused!.toFixed(1)} | ${composed!.toFixed(1)} | ${(fused! / composed!).toFixed(2)} | ` +
        `${megabytes(peaks.fused!)} | ${megabytes(peaks.composed!)} | ${megabytes(M * V * 4)} |`,
    );
  });
}
