// How much of a pixel a face fills: the formula of _share_reference.py, for eight pixels. Below face_lanes.h.

const float inverse_reach = 1.0f / reach;
// x in [low, high], in two instructions.
auto between = [](Lanes x, Lanes low, Lanes high) { return x < low ? low : (x > high ? high : x); };

// The lines of a face's edges [units of the reach], corners in counterclockwise order or `turn` = -1; 0: no area.
struct Outline { float direction_x[3], direction_y[3], length[3], turn; };
auto outline_of = [&](const Face& face) {
    Outline outline;
    for (int i = 0; i < 3; i++) {
        const float inverse = __builtin_sqrtf(face.inverse_length[i]);
        outline.direction_x[i] = face.edge_x[i] * inverse;
        outline.direction_y[i] = face.edge_y[i] * inverse;
        outline.length[i] = inverse_reach / inverse;
    }
    outline.turn = face.inverse_area > 0.0f ? 1.0f : (face.inverse_area < 0.0f ? -1.0f : 0.0f);
    return outline;
};

// An edge seen from the pixels' centres: height of its line, where on it the edge starts and stops, and which part of
// it lies inside the bump.
struct Line { Lanes height, start, stop, low, high; };
auto line_of = [&](const Outline& outline, const Located& at, int i) {
    Line line;
    const Lanes x = at.x[i] * inverse_reach, y = at.y[i] * inverse_reach;
    line.height = x * outline.direction_y[i] - y * outline.direction_x[i];
    line.start = x * outline.direction_x[i] + y * outline.direction_y[i];
    line.stop = line.start + outline.length[i];
    const Lanes room = ONE - line.height * line.height, half = __builtin_elementwise_sqrt(room > ZERO ? room : ZERO);
    line.low = between(line.start, -half, half);
    line.high = between(line.stop, -half, half);
    return line;
};

// atan2 to 2e-7, the angle of (x, y); 0 at the origin.
auto angle_of = [&](Lanes x, Lanes y) {
    const Lanes width = __builtin_elementwise_abs(x), height = __builtin_elementwise_abs(y);
    const Lanes least = width < height ? width : height, most = width < height ? height : width;
    const Lanes ratio = least / (most > (Lanes)(1e-30f) ? most : (Lanes)(1e-30f)), s = ratio * ratio;
    Lanes angle = ratio * (0.999999911f + s * (-0.333320935f + s * (0.199713751f + s * (-0.140294195f +
                  s * (0.0994275843f + s * (-0.0599047065f + s * (0.0245571182f + s * -0.00478045366f)))))));
    angle = height > width ? 1.57079633f - angle : angle;
    angle = x < ZERO ? 3.14159265f - angle : angle;
    return y < ZERO ? -angle : angle;
};

auto share_of = [&](const Outline& outline, const Located& at) {
    const float pi = 3.14159265f;
    Lanes total = ZERO;
    for (int i = 0; i < 3; i++) {
        const Line line = line_of(outline, at, i);
        const Lanes h = line.height, low = line.low, high = line.high;
        const Lanes cubes = (high * high * high - low * low * low) * (1.0f / 6.0f);
        total += h * ((ONE - 0.5f * h * h) * (high - low) - cubes) * (1.0f / pi);
        // The parts before and behind the bump are seen under the angles of two vectors; their sum is that of the
        // product of the two as complex numbers.
        const Mask before = line.start != low, behind = line.stop != high;
        if (!any(before | behind)) continue;
        const Lanes x1 = before ? h * h + line.start * low : ONE, y1 = before ? h * (low - line.start) : ZERO;
        const Lanes x2 = behind ? h * h + line.stop * high : ONE, y2 = behind ? h * (line.stop - high) : ZERO;
        total += angle_of(x1 * x2 - y1 * y2, x1 * y2 + y1 * x2) * (0.5f / pi);
    }
    return between(outline.turn * total, ZERO, ONE);
};
