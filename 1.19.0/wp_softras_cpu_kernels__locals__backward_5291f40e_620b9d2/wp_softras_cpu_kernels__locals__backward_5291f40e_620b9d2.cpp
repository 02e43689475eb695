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


// /work/main/dr_kfs/rendering/_softras_cpu_warp.py:69
static CUDA_CALLABLE void softras_cpu_kernels__locals__backward_view_0(
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
    wp::float32 clip,
    wp::float32 reach,
    wp::float32 margin,
    wp::float32 cutoff,
    wp::float32 min_area,
    wp::float32 min_halo,
    wp::array_t<wp::float32> kept,
    wp::array_t<wp::int32> winners,
    wp::array_t<wp::int32> seen,
    wp::array_t<wp::float32> grad_image,
    wp::array_t<wp::float32> grad_alpha,
    wp::array_t<wp::float32> grad_depth,
    wp::array_t<wp::float32> grad_base,
    wp::array_t<wp::float32> grad_corners,
    wp::array_t<wp::float32> grad_shades)
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
// Gradients of one face's corners, summed over the pixels it meets: what the backward kernels of this folder share.
//
// Stands below face_lanes.h at the top of a kernel's body; reads grad_corners and grad_shades, shaped like corners and
// shades and 0 on entry, from its surroundings. No two threads write to one row of them, and a face is summed in
// registers: the same bits whatever the number of threads.

Located at;
// Sums per lane, of one face: gradients of the corners' x and y, of their inverse depths v_i, and of s_i v_i (flat: only
// the first, and that of the face's shade). On the screen v and s v are linear, z and s are not.
Lanes to_x[3], to_y[3], to_inverse[3], to_shade[3];

auto start_face = [&]() { for (int i = 0; i < 3; i++) to_x[i] = to_y[i] = to_inverse[i] = to_shade[i] = ZERO; };
auto add_face = [&](int r, const Face& face) {
    for (int i = 0; i < 3; i++) {
        float* const corner = (float*)grad_corners.data + corner_place(r, i);
        const auto total = four_sums(to_x[i], to_y[i], to_inverse[i], to_shade[i]);
        const float v = face.inverse_depth[i], of_inverse = flat ? total[2] : total[2] + total[3] * face.shade[i];
        corner[0] += total[0];
        corner[1] += total[1];
        corner[2] -= of_inverse * v * v;
        if (i == 0 || !flat) ((float*)grad_shades.data)[shade_place(r, i)] += flat ? total[3] : total[3] * v;
    }
};

// Gradient of depth z and shade at the points, in those of v and s v there: z = 1 / v, shade = z (s v).
struct Linear { Lanes inverse, shade; };
auto through_depth = [&](Lanes depth, Lanes shade, Lanes to_depth, Lanes to_shade_here) {
    if (flat) return Linear{-to_depth * depth * depth, to_shade_here};
    return Linear{-(to_depth * depth + to_shade_here * shade) * depth, to_shade_here * depth};
};

// The gradient of what v and s v depend on, by so much.
auto both = [&](const Linear& gradient, float of_inverse, float of_shade) {
    return flat ? gradient.inverse * of_inverse : gradient.inverse * of_inverse + gradient.shade * of_shade;
};

// Gradient of v and s v in their values at the corners, for points with these barycentrics.
auto through_values = [&](const Linear& gradient, const Lanes* weight) {
    for (int i = 0; i < 3; i++) {
        to_inverse[i] += gradient.inverse * weight[i];
        if (!flat) to_shade[i] += gradient.shade * weight[i];
    }
    if (flat) to_shade[0] += gradient.shade;
};

// Barycentrics of the points.
auto weigh_points = [&](Lanes* weight) {
    const Lanes rest = ONE - at.along;
    for (int i = 0; i < 3; i++) {
        const Lanes on_edge = at.nearest[i] ? rest : (at.nearest[(i + 2) % 3] ? at.along : ZERO);
        weight[i] = at.covers ? at.weight[i] : on_edge;
    }
};

// Gradient of the barycentrics, for covered centres: p = sum w_i v_i, so moving corner k by s changes the
// barycentrics as moving p by -w_k s does.
auto through_inside = [&](const Face& face, Mask mask, const Linear& gradient) {
    float rise_x[2] = {0.0f, 0.0f}, rise_y[2] = {0.0f, 0.0f};  // of v and s v, per NDC
    for (int i = 0; i < 3; i++) {
        const int j = (i + 1) % 3;
        const float v = face.inverse_depth[i] * face.inverse_area, values[2] = {v, flat ? 0.0f : face.shade[i] * v};
        for (int k = 0; k < 2; k++) {
            rise_x[k] -= values[k] * face.edge_y[j];
            rise_y[k] += values[k] * face.edge_x[j];
        }
    }
    const Lanes gx = mask ? both(gradient, rise_x[0], rise_x[1]) : ZERO;
    const Lanes gy = mask ? both(gradient, rise_y[0], rise_y[1]) : ZERO;
    for (int i = 0; i < 3; i++) {
        to_x[i] -= at.weight[i] * gx;
        to_y[i] -= at.weight[i] * gy;
    }
};

// Gradient of the squared distance to the nearest edge, and of where on it the nearest point lies.
auto through_edges = [&](const Face& face, Mask mask, Lanes to_squared, const Linear& gradient) {
    Lanes edge_x[3], edge_y[3], to_along[3];
    for (int i = 0; i < 3; i++) {
        const int j = (i + 1) % 3;
        const float* const v = face.inverse_depth;
        edge_x[i] = (Lanes)(face.edge_x[i]);
        edge_y[i] = (Lanes)(face.edge_y[i]);
        const float of_shade = flat ? 0.0f : face.shade[j] * v[j] - face.shade[i] * v[i];
        to_along[i] = both(gradient, (v[j] - v[i]) * face.inverse_length[i], of_shade * face.inverse_length[i]);
    }
    const Lanes ex = of_nearest(at, edge_x), ey = of_nearest(at, edge_y), dx = at.to_edge_x, dy = at.to_edge_y;
    const Lanes t = at.along, rest = ONE - t;
    // The nearest point's own motion along the edge does not change the distance to first order.
    const Lanes pull = mask ? 2.0f * to_squared : ZERO;
    const Mask slides = mask & ~at.covers & (t > ZERO) & (t < ONE);
    const Lanes slide = slides ? of_nearest(at, to_along) : ZERO;
    // t = -(c_i . e) / |e|^2 with e = c_j - c_i, and d = c_i + t e.
    const Lanes start_x = pull * rest * dx + slide * (dx - rest * ex), stop_x = pull * t * dx - slide * (dx + t * ex);
    const Lanes start_y = pull * rest * dy + slide * (dy - rest * ey), stop_y = pull * t * dy - slide * (dy + t * ey);
    for (int i = 0; i < 3; i++) {
        const Mask starts = at.nearest[i], stops = at.nearest[(i + 2) % 3];
        to_x[i] += starts ? start_x : (stops ? stop_x : ZERO);
        to_y[i] += starts ? start_y : (stops ? stop_y : ZERO);
    }
};
// Backward of the soft rasterizer, one view: the exact derivative of softras_forward.cpp.
//
// Arguments (see _softras_cpu_warp.py): those of the forward up to min_halo, but far_depth; kept, winners and seen as
// the forward left them; grad_image, grad_alpha, grad_depth (views, size + 1, pitch), 0 in the padding, or empty for
// a gradient that is 0; grad_base (views, size + 1, pitch), scratch;
// grad_corners and grad_shades, to whose rows of this camera and mesh is added (see face_gradient.h).

auto of_this_view = [&](auto& gradient) {
    return gradient.shape[0] > 0 ? (const float*)gradient.data + offset : (const float*)0;
};
const float* const image_gradient = of_this_view(grad_image);
const float* const alpha_gradient = of_this_view(grad_alpha);
const float* const depth_gradient = of_this_view(grad_depth);
auto gradient_at = [&](const float* gradient, long pixel) {
    return gradient ? load_patch(gradient + pixel) : ZERO;
};
float* const base_gradient = (float*)grad_base.data + offset;
for (long i = 0; i < pixels; i++)
    base_gradient[i] = depth_gradient ? depth_gradient[i] * (1.0f - front[i]) : 0.0f;

const int* const is_seen = (const int*)seen.data + first_seen;
Fragment fragment;

// Layer and occluders.
auto was_seen = [&](int r) { return (is_seen[r] & SEEN) != 0; };
auto was_seen_and_covers = [&](int r) { return is_seen[r] == (SEEN | COVERS); };
for_faces(true, was_seen, [&](int r, const Face& face) {
    start_face();
    for_patches(face, [&](int row, int column) {
        const long pixel = pixel_at(row, column);
        const Lanes g_image = gradient_at(image_gradient, pixel), g_depth = gradient_at(depth_gradient, pixel);
        const Lanes g_alpha = gradient_at(alpha_gradient, pixel);
        if (!any((g_image != ZERO) | (g_depth != ZERO) | (g_alpha != ZERO))) return;
        if (!see_face(face, row, column, at, fragment)) return;
        const Mask touched = fragment.touched, has_base = fragment.has_base;
        const Lanes depth = fragment.depth, shade = fragment.shade, fade = fragment.fade, area = fragment.area;
        const Lanes near = fragment.near, occludes = fragment.occludes;
        const Lanes f = load_patch(front + pixel), c = load_patch(layer_shade + pixel);

        // The layer: c_0 = sum share shade / sum share.
        const Mask in_layer = touched & has_base;
        const Lanes total = in_layer ? load_patch(layer_total + pixel) : ONE;
        const Lanes g_layer = in_layer ? g_image * (ONE - f) / total : ZERO;
        const Lanes window = near * (ONE - occludes);
        const Lanes g_share = g_layer * (shade - c);
        Lanes g_shade = g_layer * area * window;
        Lanes g_fade = 0.5f * g_share * window;
        g_fade = at.covers ? -g_fade : g_fade;
        Lanes g_behind = g_share * area * window * (occludes - (ONE - near));
        Lanes g_z = ZERO;

        // The occluders: halo = fade * occludes, mixed by its square; the largest one is the coverage.
        const Lanes halo = fade * occludes;
        const Mask fronts = touched & ~at.covers & (halo > (Lanes)(min_halo));
        if (any(fronts)) {
            const Lanes m = load_patch(mix_shade + pixel), d = load_patch(mix_depth + pixel);
            const Lanes g_mix = fronts ? f * halo / load_patch(mix_total + pixel) : ZERO;
            g_shade += g_image * g_mix * halo;
            g_z += g_depth * g_mix * halo;
            Lanes g_halo = 2.0f * g_mix * (g_image * (shade - m) + g_depth * (depth - d));
            Lanes g_front = g_image * (m - c) + g_depth * (d - fragment.base);
            g_front += has_base ? ZERO : g_alpha;
            const Mask wins = load_winners(pixel) == (Mask)(r);
            g_halo += (fronts & wins) ? g_front : ZERO;
            g_fade += g_halo * occludes;
            g_behind -= has_base ? g_halo * fade * occludes * (ONE - occludes) : ZERO;
        }
        g_behind = in_layer ? g_behind : ZERO;
        g_z += g_behind * inverse_gamma;
        add_to_patch(base_gradient + pixel, -g_behind * inverse_gamma);

        Lanes weight[3];
        weigh_points(weight);
        const Linear gradient = through_depth(depth, shade, g_z, g_shade);
        through_values(gradient, weight);
        const Lanes slope = (fade + cutoff / (1.0f - cutoff)) * inverse_sigma;
        const Lanes g_squared = (touched & (fade > ZERO)) ? -g_fade * slope : ZERO;
        if (any(at.covers)) through_inside(face, touched & at.covers, gradient);
        if (any(fade > ZERO)) through_edges(face, touched, g_squared, gradient);
    });
    add_face(r, face);
});

// Base depth: softmin over the covering faces. One that no pixel saw is too far behind the base to have a part in it.
for_faces(false, was_seen_and_covers, [&](int r, const Face& face) {
    start_face();
    bool met = false;
    for_patches(face, [&](int row, int column) {
        const long pixel = pixel_at(row, column);
        const Lanes g_base = load_patch(base_gradient + pixel);
        if (!any(g_base != ZERO)) return;
        if (hidden_behind(face, load_patch(log_sum + pixel))) return;
        locate_inside(face, row, column, at);
        Mask counts = at.covers & (g_base != ZERO) & (load_patch(log_sum + pixel) < (Lanes)(NO_BASE));
        if (!any(counts)) return;
        const Lanes depth = ONE / at_centres(face.inverse_depth, at);
        const Lanes nearness = (load_patch(log_sum + pixel) - depth) * inverse_gamma;
        counts &= nearness > (Lanes)(-HIDDEN);
        if (!any(counts)) return;
        met = true;
        const Lanes behind = (depth - load_patch(base_depth + pixel)) * inverse_gamma;
        const Lanes g_z = counts ? g_base * exponential(nearness) * (ONE - behind) : ZERO;
        // Beside the face, 1 / z goes on to 0 and beyond.
        const Linear gradient = through_depth(counts ? depth : ONE, ZERO, g_z, ZERO);
        through_values(gradient, at.weight);
        through_inside(face, counts, gradient);
    });
    if (met) add_face(r, face);
});
}


// /work/main/dr_kfs/rendering/_softras_cpu_warp.py:69
static CUDA_CALLABLE void adj_softras_cpu_kernels__locals__backward_view_0(
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
    wp::float32 clip,
    wp::float32 reach,
    wp::float32 margin,
    wp::float32 cutoff,
    wp::float32 min_area,
    wp::float32 min_halo,
    wp::array_t<wp::float32> kept,
    wp::array_t<wp::int32> winners,
    wp::array_t<wp::int32> seen,
    wp::array_t<wp::float32> grad_image,
    wp::array_t<wp::float32> grad_alpha,
    wp::array_t<wp::float32> grad_depth,
    wp::array_t<wp::float32> grad_base,
    wp::array_t<wp::float32> grad_corners,
    wp::array_t<wp::float32> grad_shades,
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
    wp::float32 & adj_clip,
    wp::float32 & adj_reach,
    wp::float32 & adj_margin,
    wp::float32 & adj_cutoff,
    wp::float32 & adj_min_area,
    wp::float32 & adj_min_halo,
    wp::array_t<wp::float32> & adj_kept,
    wp::array_t<wp::int32> & adj_winners,
    wp::array_t<wp::int32> & adj_seen,
    wp::array_t<wp::float32> & adj_grad_image,
    wp::array_t<wp::float32> & adj_grad_alpha,
    wp::array_t<wp::float32> & adj_grad_depth,
    wp::array_t<wp::float32> & adj_grad_base,
    wp::array_t<wp::float32> & adj_grad_corners,
    wp::array_t<wp::float32> & adj_grad_shades)
{
}

struct wp_args_softras_cpu_kernels__locals__backward_8f565a9f {
    wp::array_t<wp::float32> corners;
    wp::array_t<wp::int32> index;
    wp::array_t<wp::float32> shades;
    wp::array_t<wp::int32> mesh_starts;
    wp::int32 first_view;
    wp::int32 views;
    wp::int32 size;
    wp::float32 sigma;
    wp::float32 gamma;
    wp::float32 clip;
    wp::float32 reach;
    wp::array_t<wp::float32> kept;
    wp::array_t<wp::int32> winners;
    wp::array_t<wp::int32> seen;
    wp::array_t<wp::float32> grad_image;
    wp::array_t<wp::float32> grad_alpha;
    wp::array_t<wp::float32> grad_depth;
    wp::array_t<wp::float32> grad_base;
    wp::array_t<wp::float32> grad_corners;
    wp::array_t<wp::float32> grad_shades;
};


template <bool wp_linear_contiguous>
static void softras_cpu_kernels__locals__backward_8f565a9f_cpu_kernel_forward(
    wp::launch_bounds_t<1> dim,
    size_t task_index,
    wp_args_softras_cpu_kernels__locals__backward_8f565a9f *_wp_args)
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
    wp::float32 var_clip = _wp_args->clip;
    wp::float32 var_reach = _wp_args->reach;
    wp::array_t<wp::float32> var_kept = _wp_args->kept;
    wp::array_t<wp::int32> var_winners = _wp_args->winners;
    wp::array_t<wp::int32> var_seen = _wp_args->seen;
    wp::array_t<wp::float32> var_grad_image = _wp_args->grad_image;
    wp::array_t<wp::float32> var_grad_alpha = _wp_args->grad_alpha;
    wp::array_t<wp::float32> var_grad_depth = _wp_args->grad_depth;
    wp::array_t<wp::float32> var_grad_base = _wp_args->grad_base;
    wp::array_t<wp::float32> var_grad_corners = _wp_args->grad_corners;
    wp::array_t<wp::float32> var_grad_shades = _wp_args->grad_shades;
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
    // def backward(                                                                          <L 128>
    // view = first_view + wp.tid()                                                           <L 150>
    var_0 = builtin_tid1d();
    var_1 = wp::add(var_first_view, var_0);
    // mesh, camera = view // corners.shape[0], view % corners.shape[0]                       <L 151>
    var_2 = &(var_corners.shape);
    var_5 = wp::load(var_2);
    var_4 = wp::extract(var_5, var_3);
    var_6 = wp::floordiv(var_1, var_4);
    var_7 = &(var_corners.shape);
    var_10 = wp::load(var_7);
    var_9 = wp::extract(var_10, var_8);
    var_11 = wp::mod(var_1, var_9);
    // backward_view(                                                                         <L 152>
    // corners, index, shades, mesh_starts[mesh], mesh_starts[mesh + 1], camera, view, views, size, sigma, gamma,       <L 153>
    var_12 = wp::address(var_mesh_starts, var_6);
    var_14 = wp::add(var_6, var_13);
    var_15 = wp::address(var_mesh_starts, var_14);
    // clip, reach, margin, cutoff, min_area, min_halo, kept, winners, seen, grad_image, grad_alpha, grad_depth,       <L 154>
    // grad_base, grad_corners, grad_shades,                                                  <L 155>
    var_20 = wp::load(var_12);
    var_21 = wp::load(var_15);
    softras_cpu_kernels__locals__backward_view_0(var_corners, var_index, var_shades, var_20, var_21, var_11, var_1, var_views, var_size, var_sigma, var_gamma, var_clip, var_reach, var_16, var_17, var_18, var_19, var_kept, var_winners, var_seen, var_grad_image, var_grad_alpha, var_grad_depth, var_grad_base, var_grad_corners, var_grad_shades);
}



template <bool wp_linear_contiguous>
static WP_FORCEINLINE void softras_cpu_kernels__locals__backward_8f565a9f_cpu_forward_tasks(
    wp::launch_bounds_t<1> *dim,
    wp_args_softras_cpu_kernels__locals__backward_8f565a9f *_wp_args)
{
    for (size_t task_index = 0; task_index < dim->size; ++task_index)
    {
        softras_cpu_kernels__locals__backward_8f565a9f_cpu_kernel_forward<wp_linear_contiguous>(*dim, task_index, _wp_args);
    }
}

static WP_FORCEINLINE void softras_cpu_kernels__locals__backward_8f565a9f_cpu_forward_dispatch(
    wp::launch_bounds_t<1> *dim,
    wp_args_softras_cpu_kernels__locals__backward_8f565a9f *_wp_args)
{
    wp::tile_shared_storage_t tile_mem;
#if defined(WP_ENABLE_TILES_IN_STACK_MEMORY)
    wp::shared_tile_storage = &tile_mem;
#endif

    softras_cpu_kernels__locals__backward_8f565a9f_cpu_forward_tasks<false>(dim, _wp_args);
}

extern "C" {

// Python CPU entry points
WP_API void softras_cpu_kernels__locals__backward_8f565a9f_cpu_forward(
    wp::launch_bounds_t<1> *dim,
    wp_args_softras_cpu_kernels__locals__backward_8f565a9f *_wp_args)
{
    softras_cpu_kernels__locals__backward_8f565a9f_cpu_forward_dispatch(dim, _wp_args);
}

} // extern C

