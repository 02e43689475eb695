// What both CPU kernels of the soft rasterizer share beside face_lanes.h, which stands above it at the top of
// the bodies of softras_forward.cpp and softras_backward.cpp. Names and formulas are those of softras.py and
// _softras_reference.py.

const float HIDDEN = 40.0f;  // in units of gamma: exp(-40) is nothing beside 1, and denormals are slow
const float NO_BASE = 1e30f;

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

// The face and its pixels (see find_face) in whole runs of lanes, which is how the rows of `kept` are padded.
auto read_face = [&](int r, bool grown, Face& face) {
    if (!find_face(r, grown, face)) return false;
    face.first_column &= ~7;
    return face.first_column <= face.last_column;
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
