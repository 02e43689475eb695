// What a camera sees of points, below row_lanes.h. Reads rotation (V, 3, 3), translation (V, 3), half_width and clip.

auto axis = [&](int camera, int i) { return three((const float*)rotation.data + 9 * camera + 3 * i); };
auto in_camera = [&](int camera, const Three& p) {
    const Three origin = three((const float*)translation.data + 3 * camera);
    return Three{origin.x + dot(axis(camera, 0), p), origin.y + dot(axis(camera, 1), p),
                 origin.z + dot(axis(camera, 2), p)};
};
// To NDC, at the depth of the points.
auto scale_at = [&](Lanes depth) { return ONE / (larger(depth, (Lanes)(clip)) * half_width); };
