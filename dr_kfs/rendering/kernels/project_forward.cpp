// Where each camera sees the vertices of a task, and one more, which lies at the eye.
//
// Arguments (see _projection_cpu_warp.py): vertices, rotation, translation; first_row, last_row; half_width, clip,
// farthest; corners (V, N + 1, 3), whose rows of the task are written.

const int cameras = rotation.shape[0], known = vertices.shape[0];
for_rows([&](int first, int count) {
    const int given = first + count <= known ? count : known - first;
    const Three p = or_origin(load_rows((const float*)vertices.data + 3 * (long)first, given));
    for (int camera = 0; camera < cameras; camera++) {
        const Three seen = in_camera(camera, p);
        const Lanes scale = scale_at(seen.z);
        float* const to = (float*)corners.data + 3 * ((long)camera * (known + 1) + first);
        store_rows(to, given, Three{seen.x * scale, seen.y * scale, seen.z});
        if (given < count) to[3 * given] = to[3 * given + 1] = to[3 * given + 2] = 0.0f;
    }
});
