// Backward of project_forward.cpp: the gradient of the vertices of a task.
//
// Arguments (see _projection_cpu_warp.py): those of the forward up to farthest; grad_corners (V, N + 1, 3);
// grad_vertices (N, 3), whose rows of the task are written.

const int cameras = rotation.shape[0], known = vertices.shape[0];
for_rows([&](int first, int count) {
    const Three vertex = load_rows((const float*)vertices.data + 3 * (long)first, count), p = or_origin(vertex);
    const Mask near = is_near(vertex);
    Three total = {ZERO, ZERO, ZERO};
    for (int camera = 0; camera < cameras; camera++) {
        const Three g = load_rows((const float*)grad_corners.data + 3 * ((long)camera * (known + 1) + first), count);
        const Three seen = in_camera(camera, p);
        const Lanes scale = scale_at(seen.z);
        const Mask before = seen.z >= (Lanes)(clip);
        const Lanes through_scale = before ? (g.x * seen.x + g.y * seen.y) * scale / seen.z : ZERO;
        const Three across = plus(scaled(axis(camera, 0), g.x * scale), scaled(axis(camera, 1), g.y * scale));
        total = plus(total, plus(across, scaled(axis(camera, 2), g.z - through_scale)));
    }
    total = Three{near ? total.x : ZERO, near ? total.y : ZERO, near ? total.z : ZERO};
    store_rows((float*)grad_vertices.data + 3 * (long)first, count, total);
});
