// Queries, keys and values out of their projections, with rotary positions (Su et al. 2021), or their gradients back
// into those of the projections. The first channels of a head, x = (x1, x2) in halves, become
//
//     x cos + (-x2, x1) sin        backward: with -sin
//
// and the others stay. A block has a token. Numbers are float32 inside and are rounded once.

// The channels that those from i on are turned with.
__device__ inline Four<NUMBER> partners(const Heads& a, const NUMBER* x, int i) {
  const int half = a.rotary / 2;
  if (a.by_four && half % 4 == 0) return readFour(x, i < half ? i + half : i - half, a.channels);
  Four<NUMBER> y = {};
  for (int k = 0; k < 4; k++) {
    if (i + k < a.rotary) y.at[k] = x[i + k < half ? i + k + half : i + k - half];
  }
  return y;
}

__device__ inline Four<NUMBER> anglesAt(const Heads& a, unsigned long long table, long long token, int i) {
  const NUMBER* row = at<NUMBER>(table) + token * a.rotary;
  return a.rotary % 4 == 0 ? readFour(row, i, a.rotary) : readEach(row, i, a.rotary);
}

__device__ inline void turn(const Heads& a, const NUMBER* x, long long token, int i, Four<NUMBER>& y) {
  const Four<NUMBER> other = partners(a, x, i);
  const Four<NUMBER> cos = anglesAt(a, a.cos, token, i), sin = anglesAt(a, a.sin, token, i);
  for (int k = 0; k < 4; k++) {
    if (i + k >= a.rotary) return;
    const float s = toFloat(sin.at[k]) * (i + k < a.rotary / 2 ? -a.direction : a.direction);
    y.at[k] = rounded<NUMBER>(toFloat(y.at[k]) * toFloat(cos.at[k]) + toFloat(other.at[k]) * s);
  }
}

KERNEL(heads, Heads) {
  const long long token = blockIdx.x;
  const int fours = (a.channels + 3) / 4;
  for (int p = 0; p < a.count; p++) {
    const HeadsPart& part = a.parts[p];
    for (int unit = threadIdx.x; unit < part.heads * fours; unit += blockDim.x) {
      const int head = unit / fours, i = unit % fours * 4;
      const NUMBER* x = at<NUMBER>(part.from) + token * part.from_token + head * part.from_head;
      NUMBER* to = at<NUMBER>(part.to) + token * part.to_token + head * part.to_head;
      Four<NUMBER> y = a.by_four ? readFour(x, i, a.channels) : readEach(x, i, a.channels);
      if (part.turned && i < a.rotary) turn(a, x, token, i, y);
      if (a.by_four) writeFour(to, i, a.channels, y);
      else writeEach(to, i, a.channels, y);
    }
  }
}
