// An optimizer step and what follows from it, reading every tensor once:
//
//     g <- factor g                                              clipping
//     m <- m + (1 - b1) (g - m);   v <- b2 v + (1 - b2) g^2       AdamW (Loshchilov & Hutter 2019, Algorithm 2)
//     w <- keep w - step m / (sqrt(v) / correction + eps)         keep = 1 - lr decay, step = lr / (1 - b1^t),
//                                                                correction = sqrt(1 - b2^t)
//     r <- r + share (w - r)                                     the reference policy, where it moves
//
// with |r - w|^2 before and after, |r|^2 and a checksum of r. The step or the reference may be left out. Fused
// multiply-adds stand where libtorch's kernel for CPUs with AVX2 has them, so that the bits are the same; the compiler
// makes no others.

__device__ inline const Tensors& tensorsOf(const Tensors* all, int count, int block) {
  int low = 0;
  for (int high = count; high - low > 1;) {
    const int middle = (low + high) / 2;
    (all[middle].first_block <= block ? low : high) = middle;
  }
  return all[low];
}

__device__ inline void adamw(const Update& a, float keep, Four<WEIGHT>& weight, const Four<WEIGHT>& gradient,
                             Four<WEIGHT>& mean, Four<WEIGHT>& square) {
  for (int k = 0; k < 4; k++) {
    const float g = toFloat(rounded<WEIGHT>(toFloat(gradient.at[k]) * a.factor));
    const float old = toFloat(mean.at[k]);
    const float m = fmaf(a.mean_share, g - old, old);
    const float v = fmaf(a.square_share * g, g, toFloat(square.at[k]) * a.square_keep);
    const float w = toFloat(weight.at[k]) * keep - a.step_size * m / (sqrtf(v) / a.correction + a.eps);
    mean.at[k] = rounded<WEIGHT>(m);
    square.at[k] = rounded<WEIGHT>(v);
    weight.at[k] = rounded<WEIGHT>(w);
  }
}

// As lerp of libtorch: for shares of a half and more from the other end, so that share 1 gives w to the bit.
__device__ inline float between(const Update& a, float r, float w) {
  return a.share < 0.5f ? fmaf(a.share, w - r, r) : fmaf(-(w - r), a.rest, w);
}

// The part of an element in the sum of a tensor's bits, as integers of 64 bits where they fit.
__device__ inline unsigned long long wordOf(REFERENCE x, long long i, long long n) {
  constexpr int bits = 8 * sizeof(REFERENCE), fit = 64 / bits;
  if (n % fit == 0) return static_cast<unsigned long long>(bitsOf(x)) << (bits * (i % fit));
  const int unused = 32 - bits;
  return static_cast<unsigned long long>(static_cast<long long>(static_cast<int>(bitsOf(x) << unused) >> unused));
}

// A weight as a reference of type REFERENCE is compared with it.
__device__ inline float target(WEIGHT weight) { return toFloat(rounded<REFERENCE>(toFloat(weight))); }

__device__ inline void follow(const Update& a, const Four<WEIGHT>& weight, Four<REFERENCE>& reference, Seen& seen,
                              long long i, long long n) {
  for (int k = 0; k < 4; k++) {
    const float r = toFloat(reference.at[k]), w = target(weight.at[k]);
    const REFERENCE next = a.moves ? rounded<REFERENCE>(between(a, r, w)) : reference.at[k];
    const double was = r - w, is = toFloat(next) - w, size = toFloat(next);
    seen.before += was * was;
    seen.after += is * is;
    seen.norm += size * size;
    seen.words += i + k < n ? wordOf(next, i + k, n) : 0;
    reference.at[k] = next;
  }
}

template <class T>
__device__ Four<bf16> narrowed(const Four<T>& x) {
  Four<bf16> y;
  for (int k = 0; k < 4; k++) y.at[k] = rounded<bf16>(toFloat(x.at[k]));
  return y;
}

__device__ inline void elements(const Update& a, const Tensors& t, long long i, Seen& seen) {
  const long long n = t.elements;
  Four<WEIGHT> weight = readFour(at<WEIGHT>(t.weight), i, n);
  if (t.gradient) {
    const Four<WEIGHT> gradient = readFour(at<WEIGHT>(t.gradient), i, n);
    Four<WEIGHT> mean = readFour(at<WEIGHT>(t.mean), i, n), square = readFour(at<WEIGHT>(t.square), i, n);
    adamw(a, t.keep, weight, gradient, mean, square);
    writeFour(at<WEIGHT>(t.weight), i, n, weight);
    writeFour(at<WEIGHT>(t.mean), i, n, mean);
    writeFour(at<WEIGHT>(t.square), i, n, square);
    if (t.rounded) writeFour(at<bf16>(t.rounded), i, n, narrowed(weight));
  }
  if (!t.reference) return;
  Four<REFERENCE> reference = readFour(at<REFERENCE>(t.reference), i, n);
  follow(a, weight, reference, seen, i, n);
  if (!a.moves) return;
  writeFour(at<REFERENCE>(t.reference), i, n, reference);
  if (t.rounded_reference) writeFour(at<bf16>(t.rounded_reference), i, n, narrowed(reference));
}

KERNEL(update, Update) {
  const Tensors& t = tensorsOf(at<Tensors>(a.tensors), a.count, blockIdx.x);
  const long long first = (blockIdx.x - t.first_block) * kElementsOfBlock, rest = t.elements - first;
  const long long end = first + (rest < kElementsOfBlock ? rest : kElementsOfBlock);
  Seen seen = {};
  for (long long i = first + 4 * threadIdx.x; i < end; i += 4 * blockDim.x) elements(a, t, i, seen);
  if (!t.reference) return;
  // Added in one order, so that the sums are the same every time.
  __shared__ Seen of_threads[256];
  of_threads[threadIdx.x] = seen;
  WAIT_FOR_BLOCK();
  if (threadIdx.x != 0) return;
  Seen total = {};
  for (int i = 0; i < blockDim.x; i++) {
    total.before += of_threads[i].before;
    total.after += of_threads[i].after;
    total.norm += of_threads[i].norm;
    total.words += of_threads[i].words;
  }
  at<Seen>(a.seen)[blockIdx.x] = total;
}
