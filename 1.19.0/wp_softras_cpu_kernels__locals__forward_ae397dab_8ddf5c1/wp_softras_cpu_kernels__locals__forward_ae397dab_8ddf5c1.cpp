#define WP_NO_BFLOAT16

#define WP_TILE_BLOCK_DIM 1
#define WP_NO_CRT
#include "builtin.h"
#include "deterministic.h"

#define builtin_tid1d() wp::linear_tid<wp_linear_tid>(task_index, dim)
#define builtin_tid2d(x, y) wp::tid(x, y, task_index, dim)
#define builtin_tid3d(x, y, z) wp::tid(x, y, z, task_index, dim)
#define builtin_tid4d(x, y, z, w) wp::tid(x, y, z, w, task_index, dim)

#define builtin_block_dim() wp::block_dim()


// avoid namespacing of float type for casting to float type, this is to avoid wp::float(x), which is not valid in C++
#define float(x) cast_float(x)
#define adj_float(x, adj_x, adj_ret) adj_cast_float(x, adj_x, adj_ret)

#define int(x) cast_int(x)
#define adj_int(x, adj_x, adj_ret) adj_cast_int(x, adj_x, adj_ret)


// /work/main/dr_kfs/rendering/_softras_cpu_warp.py:41
static CUDA_CALLABLE void softras_cpu_kernels__locals__forward_view_0(
    wp::array_t<wp::float32> corners,
    wp::array_t<wp::int32> index,
    wp::array_t<wp::float32> shades,
    wp::int32 first_face,
    wp::int32 last_face,
    wp::int32 camera,
    wp::int32 view,
    wp::int32 views,
    wp::int32 size,
    wp::float32 sigma,
    wp::float32 gamma,
    wp::float32 far_depth,
    wp::float32 clip,
    wp::float32 reach,
    wp::float32 margin,
    wp::float32 cutoff,
    wp::float32 min_area,
    wp::float32 min_halo,
    wp::array_t<wp::float32> image,
    wp::array_t<wp::float32> alpha,
    wp::array_t<wp::float32> depth_image,
    wp::array_t<wp::float32> kept,
    wp::array_t<wp::int32> winners,
    wp::array_t<wp::int32> seen)
{
// First of all: a * b + c may be one operation, rounded once, where the machine has it. Clang decides that where it reads
// an expression, not where it optimises: the same expression gives the same bits in every kernel.
#pragma clang fp contract(on)

// Eight numbers at a time: the vector arithmetic of all CPU kernels in C++, the detector's too.
//
// This text stands at the top of the bodies of the kernels (Warp compiles function bodies), so it defines lambdas and
// local types. Clang lowers the vector types to whatever the machine has: AVX-512, AVX2, NEON or scalars.

typedef float Lanes __attribute__((ext_vector_type(8)));
typedef int Mask __attribute__((ext_vector_type(8)));  // -1 where true
typedef float Unaligned __attribute__((ext_vector_type(8), aligned(4)));
typedef int UnalignedInts __attribute__((ext_vector_type(8), aligned(4)));


const Lanes ZERO = 0.0f, ONE = 1.0f;
const Mask STEPS = {0, 1, 2, 3, 4, 5, 6, 7};
const float LARGEST = 3.4e38f;  // NaN and infinity are not below it

auto load = [](const float* from) { return (Lanes)(*(const Unaligned*)from); };
auto store = [](float* to, Lanes values) { *(Unaligned*)to = values; };
auto smaller = [](Lanes a, Lanes b) { return a < b ? a : b; };
auto larger = [](Lanes a, Lanes b) { return a > b ? a : b; };
auto any = [](Mask mask) { return __builtin_reduce_or(mask) != 0; };
auto all = [](Mask mask) { return __builtin_reduce_and(mask) != 0; };
auto bits_of = [](Mask mask) {  // bit i: lane i
    typedef bool Bits __attribute__((ext_vector_type(8)));
    return (unsigned)__builtin_bit_cast(unsigned char, __builtin_convertvector(mask, Bits));
};
auto sum = [](Lanes a) { const auto b = a.lo + a.hi; return (b[0] + b[1]) + (b[2] + b[3]); };
auto four_sums = [](Lanes a, Lanes b, Lanes c, Lanes d) {  // of the lanes of each
    auto halves = [](auto one, auto other) {  // sums of the halves of both, in turn
        return __builtin_shufflevector(one, other, 0, 4, 1, 5) + __builtin_shufflevector(one, other, 2, 6, 3, 7);
    };
    const auto ab = halves(a.lo + a.hi, b.lo + b.hi), cd = halves(c.lo + c.hi, d.lo + d.hi);
    return __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
};

// exp to 4e-7 for |x| < 10 and 4e-6 everywhere, arguments clamped to [-87, 60]. The operations are in short chains: the
// kernels spend most of their time waiting for a result, not for a free unit.
auto exponential = [&](Lanes x) {
    const Lanes log2_e = 1.44269504f, rounder = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
    x = smaller(larger(x, (Lanes)(-87.0f)), (Lanes)(60.0f));
    const Lanes shifted = x * log2_e + rounder, whole = shifted - rounder, f = x * log2_e - whole, square = f * f;
    const Lanes low = (0.24022651f + f * 0.05550411f) * square + (1.0f + f * 0.69314718f);
    const Lanes high = 0.000154653f * square + (0.00961813f + f * 0.00133336f);
    const Mask power = __builtin_bit_cast(Mask, high * (square * square) + low);
    // The whole number, added to the exponent; the shift drops the rest of `rounder`.
    return __builtin_bit_cast(Lanes, power + (__builtin_bit_cast(Mask, shifted) << 23));
};
const bool flat = true;
// Where the corners and shades of a face stand, for the faces of a mesh that a `camera` sees: in corners (V, N, 3) and
// shades (V, F, 1 or 3), a shade for a face (`flat`, a constant that stands above) or for each of its corners.
// index (F, 3): rows among the N.

const int* const face_index = (const int*)index.data;
const long first_corner = (long)camera * corners.shape[1];
const long first_seen = (long)camera * index.shape[0];  // of the faces that this camera sees among all that any sees
auto corner_place = [&](int r, int i) { return 3 * (first_corner + face_index[3 * (long)r + i]); };
auto shade_place = [&](int r, int i) { return flat ? first_seen + r : 3 * (first_seen + r) + i; };
// Triangles to eight pixels at a time: what the kernels that walk over faces share.
//
// The lanes are a patch of four columns and two rows: most faces of a fine mesh fit into two or three of them. Patches
// start at the face's first pixel and may end outside of its box, or of the image.
//
// Stands below lanes.h, and below loose_faces.h or indexed_faces.h, at the top of a kernel's body; reads from its
// surroundings: first_face, last_face; corners (x, y [NDC], depth) and shades; `flat`; size, reach, clip, min_area.
// Names and formulas are those of _softras_reference.py.

struct Face {
    float x[3], y[3], inverse_depth[3];
    float inverse_area;            // 1 / twice the signed area [1 / NDC^2]; 0 if the face covers no centre
    float edge_x[3], edge_y[3];    // from corner i to i + 1
    float inverse_length[3];       // 1 / its squared length
    float nearest;                 // depth of the nearest corner; no point of the face is nearer
    int first_row, last_row, first_column, last_column;
    float shade[3];                // at the corners; `flat`: only the first, which is that of the face
};

// Eight faces side by side.
struct EightFaces {
    float x[3][8], y[3][8], inverse_depth[3][8], edge_x[3][8], edge_y[3][8], inverse_length[3][8];
    float inverse_area[8], nearest[8];
    int first_row[8], last_row[8], first_column[8], last_column[8];
};
auto face_of = [](const EightFaces& eight, int lane) {
    Face face;
    for (int i = 0; i < 3; i++) {
        face.x[i] = eight.x[i][lane];
        face.y[i] = eight.y[i][lane];
        face.inverse_depth[i] = eight.inverse_depth[i][lane];
        face.edge_x[i] = eight.edge_x[i][lane];
        face.edge_y[i] = eight.edge_y[i][lane];
        face.inverse_length[i] = eight.inverse_length[i][lane];
    }
    face.inverse_area = eight.inverse_area[lane];
    face.nearest = eight.nearest[lane];
    face.first_row = eight.first_row[lane];
    face.last_row = eight.last_row[lane];
    face.first_column = eight.first_column[lane];
    face.last_column = eight.last_column[lane];
    return face;
};

// What the lanes have to do with a face. Its point is the pixel's centre where it covers it, else the nearest on its
// edges.
struct Located {
    Lanes x[3], y[3];           // corners relative to the pixel centres
    Lanes weight[3];            // screen barycentrics of the centres
    Mask covers;
    Mask nearest[3];            // which edge is the nearest
    Lanes along;                // where on it the nearest point lies [0, 1]
    Lanes to_edge_x, to_edge_y; // from the centres to there
    Lanes squared;              // their squared distance
};

const Mask PATCH_COLUMN = {0, 1, 2, 3, 0, 1, 2, 3}, PATCH_ROW = {0, 0, 0, 0, 1, 1, 1, 1};

// The patch's pixel centres [NDC, y up].
const float inverse_size = 1.0f / size;
auto centres_x = [&](int column) {
    return __builtin_convertvector(2 * (PATCH_COLUMN + column) + 1 - size, Lanes) * inverse_size;
};
auto centres_y = [&](int row) {
    return __builtin_convertvector(size - 1 - 2 * (PATCH_ROW + row), Lanes) * inverse_size;
};

// visit(row, column) for the patches that hold the pixels of a face.
auto for_patches = [](const Face& face, auto&& visit) {
    for (int row = face.first_row; row <= face.last_row; row += 2)
        for (int column = face.first_column; column <= face.last_column; column += 4) visit(row, column);
};

// The faces from `first` on, but none from `last` on, and the pixels they reach (`grown`) or can cover (not grown: then
// without the lengths of their edges). A bit for each that has such pixels and finite corners beyond `clip`.
auto find_eight = [&](int first, int last, bool grown, EightFaces& eight) {
    Lanes x[3], y[3], z[3];
    for (int lane = 0; lane < 8; lane++) {
        const int r = first + lane < last ? first + lane : first;
        for (int i = 0; i < 3; i++) {
            const float* corner = (const float*)corners.data + corner_place(r, i);
            x[i][lane] = corner[0];
            y[i][lane] = corner[1];
            z[i][lane] = corner[2];
        }
    }
    Mask drawn = STEPS + first < (Mask)(last);
    Lanes low_x = x[0], high_x = x[0], low_y = y[0], high_y = y[0], nearest = z[0];
    for (int i = 0; i < 3; i++) {
        drawn &= __builtin_elementwise_abs(x[i]) < (Lanes)(LARGEST);
        drawn &= __builtin_elementwise_abs(y[i]) < (Lanes)(LARGEST);
        drawn &= (z[i] > (Lanes)(clip)) & (z[i] < (Lanes)(LARGEST));
        low_x = smaller(low_x, x[i]); high_x = larger(high_x, x[i]);
        low_y = smaller(low_y, y[i]); high_y = larger(high_y, y[i]);
        nearest = smaller(nearest, z[i]);
    }
    if (grown) {
        low_x -= reach; high_x += reach; low_y -= reach; high_y += reach;
    }
    // A hundredth of a pixel of slack absorbs rounding. Clamped before the conversion: the corners may be anywhere.
    const Lanes most = size - 1.0f, half_size = 0.5f * size;
    auto first_from = [&](Lanes position) {
        return __builtin_elementwise_ceil(smaller(larger(position - 0.01f, ZERO), most + 1.0f));
    };
    auto last_up_to = [&](Lanes position) {
        return __builtin_elementwise_floor(smaller(larger(position + 0.01f, -ONE), most));
    };
    const Lanes centre = 0.5f * most;
    const Lanes left = first_from(centre + low_x * half_size), right = last_up_to(centre + high_x * half_size);
    const Lanes top = first_from(centre - high_y * half_size), bottom = last_up_to(centre - low_y * half_size);
    const Lanes area = (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0]);
    const Mask wide = __builtin_elementwise_abs(area) > (Lanes)(min_area);
    drawn &= (left <= right) & (top <= bottom);
    if (!grown) drawn &= wide;
    const unsigned bits = bits_of(drawn);
    if (bits == 0) return bits;
    for (int i = 0; i < 3; i++) {
        const int j = (i + 1) % 3;
        const Lanes ex = x[j] - x[i], ey = y[j] - y[i];
        store(eight.x[i], x[i]);
        store(eight.y[i], y[i]);
        store(eight.inverse_depth[i], ONE / z[i]);
        store(eight.edge_x[i], ex);
        store(eight.edge_y[i], ey);
        store(eight.inverse_length[i], grown ? ONE / larger(ex * ex + ey * ey, (Lanes)(1e-20f)) : ZERO);
    }
    store(eight.inverse_area, wide ? ONE / area : ZERO);
    store(eight.nearest, nearest);
    auto store_whole = [&](int* to, Lanes place) {
        *(UnalignedInts*)to = __builtin_convertvector(drawn ? place : ZERO, Mask);
    };
    store_whole(eight.first_row, top);
    store_whole(eight.last_row, bottom);
    store_whole(eight.first_column, left);
    store_whole(eight.last_column, right);
    return bits;
};

// visit(r, face) for the faces from first_face to last_face that find_eight finds, and of which is_wanted(r) holds.
auto for_faces = [&](bool grown, auto&& is_wanted, auto&& visit) {
    EightFaces eight;
    for (int first = first_face; first < last_face; first += 8) {
        unsigned wanted = 0;
        for (int lane = 0; lane < 8 && first + lane < last_face; lane++)
            wanted |= (unsigned)is_wanted(first + lane) << lane;
        if (wanted == 0) continue;
        for (unsigned bits = wanted & find_eight(first, last_face, grown, eight); bits != 0; bits &= bits - 1) {
            const int lane = __builtin_ctz(bits), r = first + lane;
            Face face = face_of(eight, lane);
            for (int i = 0; i < (flat ? 1 : 3); i++) face.shade[i] = ((const float*)shades.data)[shade_place(r, i)];
            visit(r, face);
        }
    }
};
auto every_face = [](int) { return true; };

// Of three values, one for each edge, that of the nearest.
auto of_nearest = [](const Located& at, const Lanes* values) {
    return at.nearest[0] ? values[0] : (at.nearest[1] ? values[1] : values[2]);
};

// Corners, screen barycentrics of the centres of the patch at (row, column), and which centres are covered.
auto locate_inside = [&](const Face& face, int row, int column, Located& at) {
    const Lanes px = centres_x(column), py = centres_y(row);
    for (int i = 0; i < 3; i++) {
        at.x[i] = face.x[i] - px;
        at.y[i] = face.y[i] - py;
    }
    at.covers = (Mask)(face.inverse_area != 0.0f ? -1 : 0);
    for (int i = 0; i < 3; i++) {
        const int j = (i + 1) % 3, k = (i + 2) % 3;
        at.weight[i] = (at.x[j] * at.y[k] - at.y[j] * at.x[k]) * face.inverse_area;
        at.covers &= at.weight[i] >= ZERO;
    }
};

// The rest of `Located`.
auto locate_edges = [&](const Face& face, Located& at) {
    Lanes squared[3], along[3], to_x[3], to_y[3];
    for (int i = 0; i < 3; i++) {
        const float ex = face.edge_x[i], ey = face.edge_y[i];
        const Lanes t = at.x[i] * (-ex * face.inverse_length[i]) + at.y[i] * (-ey * face.inverse_length[i]);
        along[i] = smaller(larger(t, ZERO), ONE);
        to_x[i] = at.x[i] + along[i] * ex;
        to_y[i] = at.y[i] + along[i] * ey;
        squared[i] = to_x[i] * to_x[i] + to_y[i] * to_y[i];
    }
    at.nearest[0] = (squared[0] <= squared[1]) & (squared[0] <= squared[2]);
    at.nearest[1] = ~at.nearest[0] & (squared[1] <= squared[2]);
    at.nearest[2] = ~(at.nearest[0] | at.nearest[1]);
    at.squared = smaller(smaller(squared[0], squared[1]), squared[2]);
    at.along = of_nearest(at, along);
    at.to_edge_x = of_nearest(at, to_x);
    at.to_edge_y = of_nearest(at, to_y);
};

// What is linear on the face, from its values at the corners: where it covers the centres, and at its points. One
// expression for all passes of a kernel: base and layer must agree.
auto at_centres = [&](const float* values, const Located& at) {
    return at.weight[0] * values[0] + at.weight[1] * values[1] + at.weight[2] * values[2];
};
auto at_points = [&](const float* values, const Located& at) {
    const Lanes rest = ONE - at.along;
    Lanes on_edge[3];
    for (int i = 0; i < 3; i++) on_edge[i] = rest * values[i] + at.along * values[(i + 1) % 3];
    return at.covers ? at_centres(values, at) : of_nearest(at, on_edge);
};
auto shade_at_points = [&](const Face& face, const Located& at, Lanes depth) {
    if (flat) return (Lanes)(face.shade[0]);
    float shade_per_depth[3];
    for (int i = 0; i < 3; i++) shade_per_depth[i] = face.shade[i] * face.inverse_depth[i];
    return depth * at_points(shade_per_depth, at);
};
// What both CPU kernels of the soft rasterizer share beside face_lanes.h, which stands above it at the top of
// the bodies of softras_forward.cpp and softras_backward.cpp. Names and formulas are those of softras.py and
// _softras_reference.py.

const float HIDDEN = 40.0f;  // in units of gamma: exp(-40) is nothing beside 1, and denormals are slow
const float NO_BASE = 1e30f;
// In `seen`: some pixel sees the face; it covers a centre in a patch that those before it do not hide, or is near one.
const int SEEN = 1, COVERS = 2;

const int pitch = size + 4;                           // floats per row of `kept`; a patch may end beyond the image,
const long pixels = (long)(size + 1) * pitch;         // by three columns and a row
const long plane = views * pixels;                    // floats per plane of `kept`
const long offset = view * pixels;                    // of this view inside a plane
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

// The place of a pixel in a plane. What is behind the statement of assembly (there is none) is hidden from the compiler:
// it would keep a pointer for each row of each plane, and have no registers left.
auto pixel_at = [&](int row, int column) {
    long pixel = (long)row * pitch + column;
    asm("" : "+r"(pixel));
    return pixel;
};

// The patch whose first pixel stands at `from`.
typedef float FourFloats __attribute__((ext_vector_type(4), aligned(4)));
typedef int FourInts __attribute__((ext_vector_type(4), aligned(4)));
auto load_patch = [&](const float* from) {
    Lanes patch;
    patch.lo = *(const FourFloats*)from;
    patch.hi = *(const FourFloats*)(from + pitch);
    return patch;
};
auto store_patch = [&](float* to, Lanes patch) {
    *(FourFloats*)to = patch.lo;
    *(FourFloats*)(to + pitch) = patch.hi;
};
auto add_to_patch = [&](float* to, Lanes values) { store_patch(to, load_patch(to) + values); };
auto load_winners = [&](long pixel) {
    Mask patch;
    patch.lo = *(const FourInts*)(winner + pixel);
    patch.hi = *(const FourInts*)(winner + pixel + pitch);
    return patch;
};
auto store_winners = [&](long pixel, Mask patch) {
    *(FourInts*)(winner + pixel) = patch.lo;
    *(FourInts*)(winner + pixel + pitch) = patch.hi;
};

// `E` of softras.py, exactly 0 from the reach on.
auto fade_of = [&](Lanes squared) {
    const Lanes faded = (exponential(-squared * inverse_sigma) - cutoff) * (1.0f / (1.0f - cutoff));
    return larger(faded, ZERO);
};

// True where no lane of the patch can see the face: it lies HIDDEN behind the base, or behind `depth`.
auto hidden_behind = [&](const Face& face, Lanes depth) {
    return all((face.nearest - depth) * inverse_gamma >= (Lanes)(HIDDEN));
};

// A face at eight pixels once the base is known: `b`, `c`, `E` and the two factors of the window of softras.py.
struct Fragment {
    Mask touched, has_base;
    Lanes depth, shade, fade;
    Lanes base, behind;     // depth of the base surface; depth behind it, in units of gamma
    Lanes near, occludes;   // sigmoid(-behind), and sigmoid(-behind - margin), which is 1 where there is no base
    Lanes area;             // the face's part of the pixel before the window
};

const float margin_odds = __builtin_expf(margin);

// Fills `at` and `fragment`; false if the face touches none of the pixels.
auto see_face = [&](const Face& face, int row, int column, Located& at, Fragment& fragment) {
    const long pixel = pixel_at(row, column);
    fragment.base = load_patch(base_depth + pixel);
    fragment.has_base = load_patch(log_sum + pixel) < (Lanes)(NO_BASE);
    if (all(fragment.has_base) && hidden_behind(face, fragment.base)) return false;
    locate_inside(face, row, column, at);
    locate_edges(face, at);
    const Mask reached = at.squared < (Lanes)(reach * reach);
    // Outside of the image some faces of a pixel are met and others are not: nothing may come of it.
    const Mask in_image = (PATCH_COLUMN + column < (Mask)(size)) & (PATCH_ROW + row < (Mask)(size));
    fragment.touched = (at.covers | reached) & in_image;
    if (!any(fragment.touched)) return false;
    fragment.depth = ONE / at_points(face.inverse_depth, at);
    fragment.behind = (fragment.depth - fragment.base) * inverse_gamma;
    fragment.touched &= ~fragment.has_base | (fragment.behind < (Lanes)(HIDDEN));
    if (!any(fragment.touched)) return false;
    fragment.fade = any(reached) ? fade_of(at.squared) : ZERO;
    fragment.area = at.covers ? ONE - 0.5f * fragment.fade : 0.5f * fragment.fade;
    fragment.shade = shade_at_points(face, at, fragment.depth);
    // Both sigmoids from one exponential.
    const Lanes odds = exponential(-fragment.behind);
    fragment.near = odds / (ONE + odds);
    fragment.occludes = fragment.has_base ? odds / (margin_odds + odds) : ONE;
    return true;
};
// Forward of the soft rasterizer, one view: the faces one after the other, eight pixels at a time.
//
// Arguments (see _softras_cpu_warp.py): corners, index, shades; first_face, last_face (of this view's mesh); camera;
// view, views, size, sigma, gamma, far_depth, clip, reach, margin, cutoff, min_area, min_halo; image, alpha,
// depth_image, kept, winners; seen (V F,), whose rows of this view are written: SEEN, COVERS, both or 0.

for (long i = 0; i < pixels; i++) {
    base_depth[i] = NO_BASE;  // the nearest depth, until the base is known
    log_sum[i] = layer_total[i] = layer_shade[i] = 0.0f;
    front[i] = mix_total[i] = mix_shade[i] = mix_depth[i] = 0.0f;
    winner[i] = -1;
}

Located at;
Fragment fragment;

int* const is_seen = (int*)seen.data + first_seen;
for (int r = first_face; r < last_face; r++) is_seen[r] = 0;

// Base: softmin of the depth over the covering faces, in one pass: the sums are relative to the nearest depth so far.
float* const weight_sum = layer_total;  // not needed for the layer yet
float* const depth_sum = layer_shade;
for_faces(false, every_face, [&](int r, const Face& face) {
    for_patches(face, [&](int row, int column) {
        const long pixel = pixel_at(row, column);
        const Lanes nearest = load_patch(base_depth + pixel);
        if (hidden_behind(face, nearest)) return;
        locate_inside(face, row, column, at);
        if (!any(at.covers)) return;
        is_seen[r] = COVERS;
        const Lanes depth = at.covers ? ONE / at_centres(face.inverse_depth, at) : (Lanes)(NO_BASE);
        const Lanes behind = (depth - nearest) * inverse_gamma;
        const Lanes smaller_weight = exponential(-__builtin_elementwise_abs(behind));
        const Mask leads = behind < ZERO, counts = at.covers & (behind < (Lanes)(HIDDEN));
        const Lanes old_weight = leads ? smaller_weight : ONE;
        const Lanes new_weight = leads ? ONE : (counts ? smaller_weight : ZERO);
        store_patch(base_depth + pixel, leads ? depth : nearest);
        store_patch(weight_sum + pixel, load_patch(weight_sum + pixel) * old_weight + new_weight);
        store_patch(depth_sum + pixel, load_patch(depth_sum + pixel) * old_weight + new_weight * depth);
    });
});
for (long i = 0; i < pixels; i++) {
    const float total = weight_sum[i];
    if (total > 0.0f) {
        log_sum[i] = base_depth[i] - gamma * __builtin_logf(total);
        base_depth[i] = depth_sum[i] / total;
    } else {
        log_sum[i] = NO_BASE;
        base_depth[i] = far_depth;
    }
    layer_total[i] = layer_shade[i] = 0.0f;
}

// The farthest base of every 16 x 16 pixels that start at a multiple of 8. The image, not yet made, has room for it.
const int blocks = (size + 7) / 8;
float* const farthest_base = (float*)image.data + (long)view * size * size;
for (int row = 0; row < size; row++)
    for (int block = 0; block < blocks; block++) {
        const long pixel = (long)row * pitch + 8 * block;  // the last eight may end in the next row
        const Lanes depth = load(log_sum + pixel) < (Lanes)(NO_BASE) ? load(base_depth + pixel) : (Lanes)(NO_BASE);
        float& of_eight = farthest_base[row / 8 * blocks + block];
        const float here = __builtin_reduce_max(depth);
        of_eight = row % 8 == 0 || here > of_eight ? here : of_eight;
    }
for (int block = 0; block < blocks * blocks; block++) {
    const int right = block % blocks < blocks - 1, below = block / blocks < blocks - 1 ? blocks : 0;
    const int others[3] = {block + right, block + below, block + below + right};
    for (int i = 0; i < 3; i++)
        if (farthest_base[others[i]] > farthest_base[block]) farthest_base[block] = farthest_base[others[i]];
}
auto hidden_everywhere = [&](const Face& face) {
    if (face.last_row - face.first_row > 8 || face.last_column - face.first_column > 8) return false;
    const float base = farthest_base[face.first_row / 8 * blocks + face.first_column / 8];
    return (face.nearest - base) * inverse_gamma >= HIDDEN;
};

// Layer and occluders.
for_faces(true, every_face, [&](int r, const Face& face) {
    if (hidden_everywhere(face)) return;
    for_patches(face, [&](int row, int column) {
        if (!see_face(face, row, column, at, fragment)) return;
        is_seen[r] |= SEEN;
        const long pixel = pixel_at(row, column);
        if (any(fragment.has_base)) {
            const Lanes share = (fragment.touched & fragment.has_base)
                                    ? fragment.area * fragment.near * (ONE - fragment.occludes)
                                    : ZERO;
            add_to_patch(layer_total + pixel, share);
            add_to_patch(layer_shade + pixel, share * fragment.shade);
        }
        const Lanes halo = (fragment.touched & ~at.covers) ? fragment.fade * fragment.occludes : ZERO;
        const Mask fronts = halo > (Lanes)(min_halo);
        if (!any(fronts)) return;
        const Lanes squared = fronts ? halo * halo : ZERO;
        add_to_patch(mix_total + pixel, squared);
        add_to_patch(mix_shade + pixel, squared * fragment.shade);
        add_to_patch(mix_depth + pixel, squared * fragment.depth);
        const Lanes before = load_patch(front + pixel);
        const Mask wins = fronts & (halo > before);
        store_patch(front + pixel, wins ? halo : before);
        store_winners(pixel, wins ? (Mask)(r) : load_winners(pixel));
    });
});

// Means, and the images.
for (int row = 0; row < size; row++)
    for (int column = 0; column < size; column++) {
        const long pixel = (long)row * pitch + column, target = ((long)view * size + row) * size + column;
        const bool has_base = log_sum[pixel] < NO_BASE;
        if (layer_total[pixel] > 0.0f) layer_shade[pixel] /= layer_total[pixel];
        if (mix_total[pixel] > 0.0f) {
            mix_shade[pixel] /= mix_total[pixel];
            mix_depth[pixel] /= mix_total[pixel];
        }
        const float f = front[pixel];
        ((float*)image.data)[target] = (1.0f - f) * layer_shade[pixel] + f * mix_shade[pixel];
        ((float*)depth_image.data)[target] = (1.0f - f) * base_depth[pixel] + f * mix_depth[pixel];
        ((float*)alpha.data)[target] = has_base ? 1.0f : f;
    }
}


// /work/main/dr_kfs/rendering/_softras_cpu_warp.py:41
static CUDA_CALLABLE void adj_softras_cpu_kernels__locals__forward_view_0(
    wp::array_t<wp::float32> corners,
    wp::array_t<wp::int32> index,
    wp::array_t<wp::float32> shades,
    wp::int32 first_face,
    wp::int32 last_face,
    wp::int32 camera,
    wp::int32 view,
    wp::int32 views,
    wp::int32 size,
    wp::float32 sigma,
    wp::float32 gamma,
    wp::float32 far_depth,
    wp::float32 clip,
    wp::float32 reach,
    wp::float32 margin,
    wp::float32 cutoff,
    wp::float32 min_area,
    wp::float32 min_halo,
    wp::array_t<wp::float32> image,
    wp::array_t<wp::float32> alpha,
    wp::array_t<wp::float32> depth_image,
    wp::array_t<wp::float32> kept,
    wp::array_t<wp::int32> winners,
    wp::array_t<wp::int32> seen,
    wp::array_t<wp::float32> & adj_corners,
    wp::array_t<wp::int32> & adj_index,
    wp::array_t<wp::float32> & adj_shades,
    wp::int32 & adj_first_face,
    wp::int32 & adj_last_face,
    wp::int32 & adj_camera,
    wp::int32 & adj_view,
    wp::int32 & adj_views,
    wp::int32 & adj_size,
    wp::float32 & adj_sigma,
    wp::float32 & adj_gamma,
    wp::float32 & adj_far_depth,
    wp::float32 & adj_clip,
    wp::float32 & adj_reach,
    wp::float32 & adj_margin,
    wp::float32 & adj_cutoff,
    wp::float32 & adj_min_area,
    wp::float32 & adj_min_halo,
    wp::array_t<wp::float32> & adj_image,
    wp::array_t<wp::float32> & adj_alpha,
    wp::array_t<wp::float32> & adj_depth_image,
    wp::array_t<wp::float32> & adj_kept,
    wp::array_t<wp::int32> & adj_winners,
    wp::array_t<wp::int32> & adj_seen)
{
}

struct wp_args_softras_cpu_kernels__locals__forward_847f7af4 {
    wp::array_t<wp::float32> corners;
    wp::array_t<wp::int32> index;
    wp::array_t<wp::float32> shades;
    wp::array_t<wp::int32> mesh_starts;
    wp::int32 first_view;
    wp::int32 views;
    wp::int32 size;
    wp::float32 sigma;
    wp::float32 gamma;
    wp::float32 far_depth;
    wp::float32 clip;
    wp::float32 reach;
    wp::array_t<wp::float32> image;
    wp::array_t<wp::float32> alpha;
    wp::array_t<wp::float32> depth_image;
    wp::array_t<wp::float32> kept;
    wp::array_t<wp::int32> winners;
    wp::array_t<wp::int32> seen;
};


template <bool wp_linear_contiguous>
static void softras_cpu_kernels__locals__forward_847f7af4_cpu_kernel_forward(
    wp::launch_bounds_t<1> dim,
    size_t task_index,
    wp_args_softras_cpu_kernels__locals__forward_847f7af4 *_wp_args)
{
    static constexpr bool wp_linear_tid = wp_linear_contiguous;

    //---------
    // argument vars
    wp::array_t<wp::float32> var_corners = _wp_args->corners;
    wp::array_t<wp::int32> var_index = _wp_args->index;
    wp::array_t<wp::float32> var_shades = _wp_args->shades;
    wp::array_t<wp::int32> var_mesh_starts = _wp_args->mesh_starts;
    wp::int32 var_first_view = _wp_args->first_view;
    wp::int32 var_views = _wp_args->views;
    wp::int32 var_size = _wp_args->size;
    wp::float32 var_sigma = _wp_args->sigma;
    wp::float32 var_gamma = _wp_args->gamma;
    wp::float32 var_far_depth = _wp_args->far_depth;
    wp::float32 var_clip = _wp_args->clip;
    wp::float32 var_reach = _wp_args->reach;
    wp::array_t<wp::float32> var_image = _wp_args->image;
    wp::array_t<wp::float32> var_alpha = _wp_args->alpha;
    wp::array_t<wp::float32> var_depth_image = _wp_args->depth_image;
    wp::array_t<wp::float32> var_kept = _wp_args->kept;
    wp::array_t<wp::int32> var_winners = _wp_args->winners;
    wp::array_t<wp::int32> var_seen = _wp_args->seen;
    //---------
    // primal vars
    wp::int32 var_0;
    wp::int32 var_1;
    wp::shape_t* var_2;
    const wp::int32 var_3 = 0;
    wp::int32 var_4;
    wp::shape_t var_5;
    wp::int32 var_6;
    wp::shape_t* var_7;
    const wp::int32 var_8 = 0;
    wp::int32 var_9;
    wp::shape_t var_10;
    wp::int32 var_11;
    wp::int32* var_12;
    const wp::int32 var_13 = 1;
    wp::int32 var_14;
    wp::int32* var_15;
    const wp::float32 var_16 = 6.0;
    const wp::float32 var_17 = 0.001;
    const wp::float32 var_18 = 1e-09;
    const wp::float32 var_19 = 1e-15;
    wp::int32 var_20;
    wp::int32 var_21;
    //---------
    // forward
    // def forward(                                                                           <L 100>
    // view = first_view + wp.tid()                                                           <L 120>
    var_0 = builtin_tid1d();
    var_1 = wp::add(var_first_view, var_0);
    // mesh, camera = view // corners.shape[0], view % corners.shape[0]                       <L 121>
    var_2 = &(var_corners.shape);
    var_5 = wp::load(var_2);
    var_4 = wp::extract(var_5, var_3);
    var_6 = wp::floordiv(var_1, var_4);
    var_7 = &(var_corners.shape);
    var_10 = wp::load(var_7);
    var_9 = wp::extract(var_10, var_8);
    var_11 = wp::mod(var_1, var_9);
    // forward_view(                                                                          <L 122>
    // corners, index, shades, mesh_starts[mesh], mesh_starts[mesh + 1], camera, view, views, size, sigma, gamma,       <L 123>
    var_12 = wp::address(var_mesh_starts, var_6);
    var_14 = wp::add(var_6, var_13);
    var_15 = wp::address(var_mesh_starts, var_14);
    // far_depth, clip, reach, margin, cutoff, min_area, min_halo, image, alpha, depth_image, kept, winners, seen,       <L 124>
    var_20 = wp::load(var_12);
    var_21 = wp::load(var_15);
    softras_cpu_kernels__locals__forward_view_0(var_corners, var_index, var_shades, var_20, var_21, var_11, var_1, var_views, var_size, var_sigma, var_gamma, var_far_depth, var_clip, var_reach, var_16, var_17, var_18, var_19, var_image, var_alpha, var_depth_image, var_kept, var_winners, var_seen);
}



template <bool wp_linear_contiguous>
static WP_FORCEINLINE void softras_cpu_kernels__locals__forward_847f7af4_cpu_forward_tasks(
    wp::launch_bounds_t<1> *dim,
    wp_args_softras_cpu_kernels__locals__forward_847f7af4 *_wp_args)
{
    for (size_t task_index = 0; task_index < dim->size; ++task_index)
    {
        softras_cpu_kernels__locals__forward_847f7af4_cpu_kernel_forward<wp_linear_contiguous>(*dim, task_index, _wp_args);
    }
}

static WP_FORCEINLINE void softras_cpu_kernels__locals__forward_847f7af4_cpu_forward_dispatch(
    wp::launch_bounds_t<1> *dim,
    wp_args_softras_cpu_kernels__locals__forward_847f7af4 *_wp_args)
{
    wp::tile_shared_storage_t tile_mem;
#if defined(WP_ENABLE_TILES_IN_STACK_MEMORY)
    wp::shared_tile_storage = &tile_mem;
#endif

    softras_cpu_kernels__locals__forward_847f7af4_cpu_forward_tasks<false>(dim, _wp_args);
}

extern "C" {

// Python CPU entry points
WP_API void softras_cpu_kernels__locals__forward_847f7af4_cpu_forward(
    wp::launch_bounds_t<1> *dim,
    wp_args_softras_cpu_kernels__locals__forward_847f7af4 *_wp_args)
{
    softras_cpu_kernels__locals__forward_847f7af4_cpu_forward_dispatch(dim, _wp_args);
}

} // extern C

