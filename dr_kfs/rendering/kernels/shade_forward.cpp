// How bright each camera sees the faces of a task, and which are drawn.
//
// Arguments (see _projection_cpu_warp.py): vertices, faces, eye; first_row, last_row; light_x, light_y, light_z,
// ambient, diffuse, farthest, degenerate, tiny; drawn_faces (F, 3): the faces, N thrice for those that are not drawn;
// shades (V, F).

const int cameras = eye.shape[0];
const long all_faces = faces.shape[0];
for_rows([&](int first, int count) {
    const LitFaces lit = lit_faces(first, count);
    Lanes longest = ZERO;
    for (int i = 0; i < 3; i++) {
        const Three edge = minus(lit.corner[(i + 1) % 3], lit.corner[i]);
        longest = larger(longest, dot(edge, edge));
    }
    const Mask drawn = lit.all_near & (lit.length > degenerate * longest);
    for (int lane = 0; lane < count; lane++)
        for (int i = 0; i < 3; i++) {
            const long place = 3 * (long)(first + lane) + i;
            const long long vertex = drawn[lane] ? ((const long long*)faces.data)[place] : vertices.shape[0];
            ((long long*)drawn_faces.data)[place] = vertex;
        }
    for (int camera = 0; camera < cameras; camera++) {
        const Lanes shade = ambient + diffuse * larger(facing(lit, camera) * lit.cosine, ZERO);
        store_some((float*)shades.data + camera * all_faces + first, count, shade);
    }
});
