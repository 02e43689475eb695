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
