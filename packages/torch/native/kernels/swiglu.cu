// The gated product of a feed-forward layer (Shazeer 2020, arXiv 2002.05202), and its gradients:
//
//     y = g s u                        s = 1 / (1 + e^-g)
//     dg = dy u s (1 + g (1 - s))      du = dy g s
//
// Numbers are float32 inside and are rounded once.

__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

__device__ inline long long firstOf(const Swiglu& a) { return blockIdx.x * a.kElementsOfBlock + 4 * threadIdx.x; }

__device__ inline long long endOf(const Swiglu& a) {
  const long long end = (blockIdx.x + 1) * a.kElementsOfBlock;
  return end < a.elements ? end : a.elements;
}

KERNEL(swiglu, Swiglu) {
  const long long n = a.elements, end = endOf(a);
  for (long long i = firstOf(a); i < end; i += 4 * blockDim.x) {
    const Four<NUMBER> gate = readFour(at<NUMBER>(a.gate), i, n), up = readFour(at<NUMBER>(a.up), i, n);
    Four<NUMBER> y;
    for (int k = 0; k < 4; k++) {
      const float g = toFloat(gate.at[k]);
      y.at[k] = rounded<NUMBER>(g * sigmoid(g) * toFloat(up.at[k]));
    }
    writeFour(at<NUMBER>(a.y), i, n, y);
  }
}

KERNEL(swiglu_backward, Swiglu) {
  const long long n = a.elements, end = endOf(a);
  for (long long i = firstOf(a); i < end; i += 4 * blockDim.x) {
    const Four<NUMBER> gate = readFour(at<NUMBER>(a.gate), i, n), up = readFour(at<NUMBER>(a.up), i, n);
    const Four<NUMBER> slope = readFour(at<NUMBER>(a.slope), i, n);
    Four<NUMBER> of_gate, of_up;
    for (int k = 0; k < 4; k++) {
      const float g = toFloat(gate.at[k]), s = sigmoid(g), dy = toFloat(slope.at[k]);
      of_gate.at[k] = rounded<NUMBER>(dy * toFloat(up.at[k]) * s * (1.0f + g * (1.0f - s)));
      of_up.at[k] = rounded<NUMBER>(dy * g * s);
    }
    if (a.gate_slope) writeFour(at<NUMBER>(a.gate_slope), i, n, of_gate);
    if (a.up_slope) writeFour(at<NUMBER>(a.up_slope), i, n, of_up);
  }
}
