// Eight pixels of a row at a time: what both CPU kernels of the soft rasterizer share.
//
// This text stands at the top of the body of softras_forward.cpp and of softras_backward.cpp (Warp compiles function
// bodies), so it defines lambdas and local types. Names and formulas are those of softras.py and
// _softras_reference.py. Clang lowers the vector types to whatever the machine has: AVX-512, AVX2, NEON or scalars.

typedef float Lanes __attribute__((ext_vector_type(8)));
typedef int Mask __attribute__((ext_vector_type(8)));  // -1 where true
typedef float Unaligned __attribute__((ext_vector_type(8), aligned(4)));

const Lanes ZERO = 0.0f, ONE = 1.0f;
const float HIDDEN = 40.0f;  // in units of gamma: exp(-40) is nothing beside 1, and denormals are slow
const float NO_BASE = 1e30f;
const float LARGEST = 3.4e38f;  // NaN and infinity are not below it

auto load = [](const float* from) { return (Lanes)(*(const Unaligned*)from); };
auto store = [](float* to, Lanes values) { *(Unaligned*)to = values; };
auto smaller = [](Lanes a, Lanes b) { return __builtin_elementwise_min(a, b); };
auto larger = [](Lanes a, Lanes b) { return __builtin_elementwise_max(a, b); };
auto any = [](Mask mask) { return __builtin_reduce_or(mask) != 0; };
auto all = [](Mask mask) { return __builtin_reduce_and(mask) != 0; };
auto sum = [](Lanes a) { return ((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7])); };

// exp to 2e-7, arguments clamped to [-87, 60].
auto exponential = [&](Lanes x) {
    Lanes scaled = smaller(larger(x, (Lanes)(-87.0f)), (Lanes)(60.0f)) * 1.44269504f;
    Lanes whole = __builtin_elementwise_floor(scaled + 0.5f);
    Lanes f = scaled - whole;
    Lanes power = 1.0f + f * (0.69314718f + f * (0.24022651f + f * (0.05550411f + f * (0.00961813f +
                  f * (0.00133336f + f * 0.000154653f)))));
    Mask exponent = (__builtin_convertvector(whole, Mask) + 127) << 23;
    return power * __builtin_bit_cast(Lanes, exponent);
};

const float* face_data = (const float*)faces.data;    // (R, 3, 3): x, y [NDC], depth
const float* shade_data = (const float*)shades.data;  // (R, 3)
const int pitch = (size + 7) / 8 * 8;                 // floats per row of `kept`: whole runs of lanes
const long plane = (long)views * size * pitch;        // floats per plane of `kept`
const long offset = (long)view * size * pitch;        // of this view inside a plane
float* const base_depth = (float*)kept.data + 0 * plane + offset;
float* const log_sum = (float*)kept.data + 1 * plane + offset;
float* const layer_total = (float*)kept.data + 2 * plane + offset;
float* const layer_shade = (float*)kept.data + 3 * plane + offset;
float* const front = (float*)kept.data + 4 * plane + offset;
float* const mix_total = (float*)kept.data + 5 * plane + offset;
float* const mix_shade = (float*)kept.data + 6 * plane + offset;
float* const mix_depth = (float*)kept.data + 7 * plane + offset;
int* const winner = (int*)winners.data + offset;      // the occluder with the largest coverage; -1: none
const float inverse_sigma = 1.0f / sigma, inverse_gamma = 1.0f / gamma;

struct Face {
    float x[3], y[3], inverse_depth[3], shade[3];
    float area, inverse_area;      // twice the signed area [NDC^2]; inverse 0 if the face covers no centre
    float inverse_length[3];       // 1 / squared length of the edge from corner i to i + 1
    float nearest;                 // depth of the nearest corner; no point of the face is nearer
    int first_row, last_row, first_column, last_column;
};

// What lanes of one row have to do with a face.
struct Located {
    Lanes x[3], y[3];   // corners relative to the pixel centres
    Lanes weight[3];    // screen barycentrics: of the centre where covered, else of the nearest edge point
    Mask covers;
    Lanes squared;      // squared distance to the edges
    Lanes along;        // where on the nearest edge the nearest point lies [0, 1]
    Mask on_first, on_second;  // the nearest edge is 0, is 1 (else 2)
    Lanes fade;
};

auto pixel_x = [&](int column) {
    const Mask steps = {0, 1, 2, 3, 4, 5, 6, 7};
    return __builtin_convertvector(2 * (steps + column) + 1 - size, Lanes) / (float)size;
};
auto pixel_y = [&](int row) { return (float)(size - 1 - 2 * row) / (float)size; };

// The face and the pixels it reaches (`grown`) or can cover (not grown); false if there are none, if a corner is not
// finite, or at or nearer than `clip`.
auto read_face = [&](int r, bool grown, Face& face) {
    const float* corner = face_data + 9 * (long)r;
    float low_x = LARGEST, high_x = -LARGEST, low_y = LARGEST, high_y = -LARGEST;
    bool drawn = true;
    face.nearest = LARGEST;
    for (int i = 0; i < 3; i++) {
        const float x = corner[3 * i], y = corner[3 * i + 1], z = corner[3 * i + 2];
        drawn &= __builtin_fabsf(x) < LARGEST && __builtin_fabsf(y) < LARGEST && z > clip && z < LARGEST;
        low_x = x < low_x ? x : low_x; high_x = x > high_x ? x : high_x;
        low_y = y < low_y ? y : low_y; high_y = y > high_y ? y : high_y;
        face.nearest = z < face.nearest ? z : face.nearest;
        face.x[i] = x;
        face.y[i] = y;
        face.inverse_depth[i] = 1.0f / z;
        face.shade[i] = shade_data[3 * (long)r + i];
    }
    if (!drawn) return false;
    if (grown) {
        low_x -= reach; high_x += reach; low_y -= reach; high_y += reach;
    }
    // A hundredth of a pixel of slack absorbs rounding. Clamped before the conversion: the corners may be anywhere.
    auto pixel = [&](float position) { return position < -1.0f ? -1.0f : position > size ? (float)size : position; };
    face.first_column = (int)__builtin_ceilf(pixel((low_x * size + size - 1) * 0.5f - 0.01f));
    face.last_column = (int)__builtin_floorf(pixel((high_x * size + size - 1) * 0.5f + 0.01f));
    face.first_row = (int)__builtin_ceilf(pixel((size - 1 - high_y * size) * 0.5f - 0.01f));
    face.last_row = (int)__builtin_floorf(pixel((size - 1 - low_y * size) * 0.5f + 0.01f));
    face.first_column = face.first_column < 0 ? 0 : face.first_column & ~7;
    face.first_row = face.first_row < 0 ? 0 : face.first_row;
    face.last_column = face.last_column > size - 1 ? size - 1 : face.last_column;
    face.last_row = face.last_row > size - 1 ? size - 1 : face.last_row;
    face.area = (face.x[1] - face.x[0]) * (face.y[2] - face.y[0]) - (face.y[1] - face.y[0]) * (face.x[2] - face.x[0]);
    const bool wide = __builtin_fabsf(face.area) > min_area;
    face.inverse_area = wide ? 1.0f / face.area : 0.0f;
    for (int i = 0; i < 3; i++) {
        const int j = (i + 1) % 3;
        const float ex = face.x[j] - face.x[i], ey = face.y[j] - face.y[i], squared = ex * ex + ey * ey;
        face.inverse_length[i] = 1.0f / (squared > 1e-20f ? squared : 1e-20f);
    }
    return face.first_column <= face.last_column && face.first_row <= face.last_row && (grown || wide);
};

// Corners, screen barycentrics of the centres, and which centres are covered.
auto locate_inside = [&](const Face& face, Lanes px, float py, Located& at) {
    for (int i = 0; i < 3; i++) {
        at.x[i] = face.x[i] - px;
        at.y[i] = (Lanes)(face.y[i] - py);
    }
    at.covers = (Mask)(face.inverse_area != 0.0f ? -1 : 0);
    for (int i = 0; i < 3; i++) {
        const int j = (i + 1) % 3, k = (i + 2) % 3;
        at.weight[i] = (at.x[j] * at.y[k] - at.y[j] * at.x[k]) * face.inverse_area;
        at.covers &= at.weight[i] >= ZERO;
    }
};

// The rest of `Located`: the nearest edge point, and barycentrics that lie in the face everywhere.
auto locate_edges = [&](const Face& face, Located& at) {
    Lanes squared[3], along[3];
    for (int i = 0; i < 3; i++) {
        const int j = (i + 1) % 3;
        const float ex = face.x[j] - face.x[i], ey = face.y[j] - face.y[i];
        Lanes t = -(at.x[i] * ex + at.y[i] * ey) * face.inverse_length[i];
        t = smaller(larger(t, ZERO), ONE);
        const Lanes dx = at.x[i] + t * ex, dy = at.y[i] + t * ey;
        squared[i] = dx * dx + dy * dy;
        along[i] = t;
    }
    at.on_first = (squared[0] <= squared[1]) & (squared[0] <= squared[2]);
    at.on_second = ~at.on_first & (squared[1] <= squared[2]);
    at.squared = smaller(smaller(squared[0], squared[1]), squared[2]);
    at.along = at.on_first ? along[0] : (at.on_second ? along[1] : along[2]);
    const Lanes rest = ONE - at.along;
    const Lanes edge[3] = {
        at.on_first ? rest : (at.on_second ? ZERO : at.along),
        at.on_first ? at.along : (at.on_second ? rest : ZERO),
        at.on_first ? ZERO : (at.on_second ? at.along : rest),
    };
    for (int i = 0; i < 3; i++) at.weight[i] = at.covers ? at.weight[i] : edge[i];
};

// `E` of softras.py, exactly 0 from the reach on.
auto fade_of = [&](Lanes squared) {
    const Lanes faded = (exponential(-squared * inverse_sigma) - cutoff) * (1.0f / (1.0f - cutoff));
    return larger(faded, ZERO);
};

// True where no lane of these eight pixels can see the face: it lies HIDDEN behind the base, or behind `depth`.
auto hidden_behind = [&](const Face& face, Lanes depth) {
    return all((face.nearest - depth) * inverse_gamma >= (Lanes)(HIDDEN));
};

// A face at eight pixels once the base is known: `b`, `c`, `E` and the two factors of the window of softras.py.
struct Fragment {
    Mask touched, has_base;
    Lanes weighted[3];      // w_i / z_i
    Lanes depth, shade, fade;
    Lanes base, behind;     // depth of the base surface; depth behind it, in units of gamma
    Lanes near, occludes;   // sigmoid(-behind), and sigmoid(-behind - margin), which is 1 where there is no base
    Lanes area;             // the face's part of the pixel before the window
};

const float margin_factor = __builtin_expf(-margin);

// Fills `at` and `fragment`; false if the face touches none of the pixels.
auto see_face = [&](const Face& face, int row, int column, Located& at, Fragment& fragment) {
    const long pixel = (long)row * pitch + column;
    fragment.base = load(base_depth + pixel);
    fragment.has_base = load(log_sum + pixel) < (Lanes)(NO_BASE);
    if (all(fragment.has_base) && hidden_behind(face, fragment.base)) return false;
    locate_inside(face, pixel_x(column), pixel_y(row), at);
    locate_edges(face, at);
    const Mask reached = at.squared < (Lanes)(reach * reach);
    fragment.touched = at.covers | reached;
    if (!any(fragment.touched)) return false;
    for (int i = 0; i < 3; i++) fragment.weighted[i] = at.weight[i] * face.inverse_depth[i];
    fragment.depth = ONE / (fragment.weighted[0] + fragment.weighted[1] + fragment.weighted[2]);
    fragment.behind = (fragment.depth - fragment.base) * inverse_gamma;
    fragment.touched &= ~fragment.has_base | (fragment.behind < (Lanes)(HIDDEN));
    if (!any(fragment.touched)) return false;
    fragment.fade = any(reached) ? fade_of(at.squared) : ZERO;
    fragment.area = at.covers ? ONE - 0.5f * fragment.fade : 0.5f * fragment.fade;
    fragment.shade = fragment.depth * (fragment.weighted[0] * face.shade[0] + fragment.weighted[1] * face.shade[1] +
                                       fragment.weighted[2] * face.shade[2]);
    // Both sigmoids from one exponential.
    const Lanes odds = exponential(-fragment.behind), front_odds = odds * margin_factor;
    fragment.near = odds / (ONE + odds);
    fragment.occludes = fragment.has_base ? front_odds / (ONE + front_odds) : ONE;
    return true;
};
