// What both CPU kernels of the translucent composite share, below lanes.h. The formula is that of compositing.py.
//
// A pixel's n fragments are copied to scratch memory from the nearest to the farthest; seven entries behind them pad
// the last run of eight.
//
// Reads from its surroundings: starts (P + 1); face, depth, shade, share (K); attenuation (R); task, gamma, margin;
// order (K), the fragments of each pixel from the nearest to the farthest; scratch (tasks, rows, stride).

const float SEPARATE = 30.0f + margin;  // (z_j - z_i) / gamma from which on i lies in front of j, to 1e-13
const float inverse_gamma = 1.0f / gamma;
const float margin_power = __builtin_expf(margin);

const int* const start_of = (const int*)starts.data;
int* const sorted = (int*)order.data;
const long stride = scratch.shape[2];
float* const scratch_rows = (float*)scratch.data + (long)task * scratch.shape[1] * stride;
auto row_of_scratch = [&](int row) { return scratch_rows + row * stride; };
float* const z = row_of_scratch(0);
float* const c = row_of_scratch(1);
float* const t = row_of_scratch(2);      // tau
float* const f = row_of_scratch(3);      // F
float* const own = row_of_scratch(4);    // L
float* const power = row_of_scratch(5);  // see Block
float* const filled = row_of_scratch(6);      // share of the pixel
float* const attenuated = row_of_scratch(7);  // -log(1 - o)

// Fills the rows z, c, filled and attenuated with the n sorted fragments from `start` on.
auto gather = [&](int start, int n) {
    for (int k = 0; k < n; k++) {
        const int j = sorted[start + k];
        z[k] = ((const float*)depth.data)[j];
        c[k] = ((const float*)shade.data)[j];
        filled[k] = ((const float*)share.data)[j];
        attenuated[k] = ((const float*)attenuation.data)[((const int*)face.data)[j]];
    }
    for (int k = n; k < n + 7; k++) {
        z[k] = z[n - 1];
        c[k] = filled[k] = attenuated[k] = 0.0f;
    }
};

// (1 - exp(-x)) / x and its derivative, where `fading` is exp(-x). The series are those of _compositing_reference.py.
auto absorbed = [&](Lanes x, Lanes fading) {
    Lanes series = ONE;
    for (int i = 6; i > 1; i--) series = ONE - x * series * (1.0f / (float)i);
    const Mask large = x > (Lanes)(0.1f);
    return large ? (ONE - fading) / (large ? x : ONE) : series;
};
auto absorbed_slope = [&](Lanes x, Lanes fading, Lanes value) {
    Lanes series = ONE;
    for (int i = 5; i > 0; i--) series = ONE - x * series * ((float)(i + 1) / (float)(i * (i + 2)));
    const Mask large = x > (Lanes)(0.1f);
    return large ? (fading - value) / (large ? x : ONE) : -0.5f * series;
};

// Whether all of the sorted fragments from j on lie clearly behind fragment i.
auto separate = [&](int i, int j) { return (z[j] - z[i]) * inverse_gamma > SEPARATE; };

// Of two fragments i and j, x = (z_j - z_i) / gamma: how far i lies in front of j, sigmoid(x - m), how far behind j,
// sigmoid(-x - m), and in its layer: the rest of 1.
struct Pair { Lanes front, back, layer; };
auto pair_of = [&](Lanes power) {
    const Lanes most = 1e15f, u = power < most ? power : most;  // exp(-x); bounded, so that no product below overflows
    const Lanes above = ONE + margin_power * u, below = u + margin_power, inverse = ONE / (above * below);
    return Pair{below * inverse, u * above * inverse, u * (margin_power * margin_power - 1.0f) * inverse};
};

// Up to eight sorted fragments that follow each other within SEPARATE, `first` to `last`, and those of all n that are
// separate from none or not all of them, `near` to `far_end` - 1: the others lie clearly in front or behind.
// exp((z_i - z_j) / gamma) is the product power[i] * inverse_power[j - first]: one exponential for each, not each pair.
struct Block { int first, last, near, far_end; Lanes inverse_power; };
auto next_block = [&](const Block& before, int n) {
    Block block = before;
    block.first = block.last = before.last + 1;
    if (block.first >= n) return block;
    while (block.last + 1 < n && block.last - block.first < 7 && !separate(block.first, block.last + 1)) block.last++;
    while (separate(block.near, block.first)) block.near++;
    while (block.far_end < n && !separate(block.last, block.far_end)) block.far_end++;
    block.inverse_power = exponential((z[block.first] - load(z + block.first)) * inverse_gamma);
    for (int i = block.near; i < block.far_end; i += 8)
        store(power + i, exponential((load(z + i) - z[block.first]) * inverse_gamma));
    return block;
};

// sum v, v c and v z over the fragments, v = exp(first - F) (1 - exp(-L)) / L tau; and sum tau.
struct Seen { float first, total, weight, shade, depth; };
auto look = [&](int n) {
    int nearest = 0;
    while (nearest < n && !(t[nearest] > 0.0f)) nearest++;
    // F of the nearest fragment that is there: a common factor, which keeps the v from underflow.
    const float first = nearest < n ? f[nearest] : 0.0f;
    Lanes total = ZERO, weight = ZERO, shade = ZERO, depth = ZERO;
    for (int k = 0; k < n; k += 8) {
        const Lanes l = load(own + k);
        const Lanes v = exponential((Lanes)(first)-load(f + k)) * absorbed(l, exponential(-l)) * load(t + k);
        total += load(t + k);
        weight += v;
        shade += v * load(c + k);
        depth += v * load(z + k);
    }
    return Seen{first, sum(total), sum(weight), sum(shade), sum(depth)};
};
