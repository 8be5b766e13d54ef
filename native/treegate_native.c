/* What is done for each of very many files: see many.rename_each, many.look_each, many.recognise_each and posix.packed
 * in treegate.engine, whose meaning these have. Without this module the same is done in Python.
 *
 * No lock of the interpreter is held between the calls of the kernel; what they need is copied out before.
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOREPLACE 1 /* RENAME_NOREPLACE, which older headers lack */
#define FACTS 60    /* bytes of an entry's packed facts (treegate.model.tree.PACKED) */
#define ATTRIBUTES 0x2030 /* immutable, append-only, root of a mount: treegate.model.tree */
#define INODE_AT 20
#define MTIME_AT 36
#define CTIME_AT 44
#define BORN_AT 52

typedef struct {
    int src, dst;
    const char *from, *to;
    uint64_t inode;
} Move;

typedef struct {
    int folder;
    const char *name;
    const char *facts;
} Look;

/* The bytes of a single name, or NULL with an exception: the same rule as treegate.engine.handles.raw. */
static const char *name_of(PyObject *given)
{
    char *name;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(given, &name, &length) < 0)
        return NULL;
    if (length == 0 || strlen(name) != (size_t)length || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, "..")) {
        PyErr_Format(PyExc_ValueError, "not a single name: %R", given);
        return NULL;
    }
    return name;
}

static int read_move(PyObject *item, Move *move)
{
    if (!PyTuple_Check(item) || PyTuple_Size(item) != 5) {
        PyErr_SetString(PyExc_TypeError, "a move is a tuple of five");
        return -1;
    }
    move->src = (int)PyLong_AsLong(PyTuple_GetItem(item, 0));
    move->dst = (int)PyLong_AsLong(PyTuple_GetItem(item, 2));
    move->inode = PyLong_AsUnsignedLongLong(PyTuple_GetItem(item, 4));
    if (PyErr_Occurred())
        return -1;
    move->from = name_of(PyTuple_GetItem(item, 1));
    move->to = move->from ? name_of(PyTuple_GetItem(item, 3)) : NULL;
    return move->to ? 0 : -1;
}

static int read_look(PyObject *item, Look *look)
{
    char *facts;
    Py_ssize_t length;
    if (!PyTuple_Check(item) || PyTuple_Size(item) != 3) {
        PyErr_SetString(PyExc_TypeError, "a look is a tuple of three");
        return -1;
    }
    look->folder = (int)PyLong_AsLong(PyTuple_GetItem(item, 0));
    if (PyErr_Occurred() || !(look->name = name_of(PyTuple_GetItem(item, 1))))
        return -1;
    if (PyBytes_AsStringAndSize(PyTuple_GetItem(item, 2), &facts, &length) < 0)
        return -1;
    if (length != FACTS) {
        PyErr_SetString(PyExc_ValueError, "not the packed facts of an entry");
        return -1;
    }
    look->facts = facts;
    return 0;
}

/* How many moves are made; *error is the errno of what stopped them, 0 where another entry came along. */
static Py_ssize_t move_all(const Move *moves, Py_ssize_t count, int *error)
{
    struct stat now;
    *error = 0;
    for (Py_ssize_t made = 0; made < count; made++) {
        const Move *move = &moves[made];
        if (syscall(SYS_renameat2, move->src, move->from, move->dst, move->to, NOREPLACE) < 0 ||
            fstatat(move->dst, move->to, &now, AT_SYMLINK_NOFOLLOW) < 0) {
            *error = errno;
            return made;
        }
        if (now.st_ino != move->inode)
            return made;
    }
    return count;
}

/* Nanoseconds since 1970; a time that there is no room for (after 2262) is the last one that there is room for. */
static int64_t nanoseconds(int64_t seconds, int64_t more)
{
    if (seconds >= INT64_MAX / 1000000000)
        return INT64_MAX;
    if (seconds <= INT64_MIN / 1000000000)
        return INT64_MIN;
    return seconds * 1000000000 + more;
}

static int is_untouched(const Look *look)
{
    struct stat now;
    uint64_t inode;
    int64_t mtime, ctime;
    memcpy(&inode, look->facts + INODE_AT, 8);
    memcpy(&mtime, look->facts + MTIME_AT, 8);
    memcpy(&ctime, look->facts + CTIME_AT, 8);
    return fstatat(look->folder, look->name, &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_ino == le64toh(inode) &&
           nanoseconds(now.st_mtim.tv_sec, now.st_mtim.tv_nsec) == (int64_t)le64toh((uint64_t)mtime) &&
           nanoseconds(now.st_ctim.tv_sec, now.st_ctim.tv_nsec) == (int64_t)le64toh((uint64_t)ctime);
}

static int is_known(const Look *look)
{
    struct statx now;
    uint32_t mode;
    uint64_t inode;
    int64_t born;
    memcpy(&mode, look->facts, 4);
    memcpy(&inode, look->facts + INODE_AT, 8);
    memcpy(&born, look->facts + BORN_AT, 8);
    return statx(look->folder, look->name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_BTIME, &now) == 0 &&
           now.stx_ino == le64toh(inode) && (now.stx_mode & S_IFMT) == (le32toh(mode) & S_IFMT) && born &&
           now.stx_mask & STATX_BTIME &&
           nanoseconds(now.stx_btime.tv_sec, now.stx_btime.tv_nsec) == (int64_t)le64toh((uint64_t)born);
}

static PyObject *rename_each(PyObject *self, PyObject *given)
{
    Py_ssize_t made, count = PyList_Size(given);
    Move *moves;
    int error;
    if (count < 0 || !(moves = PyMem_Malloc(sizeof(Move) * (size_t)(count + 1))))
        return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    for (Py_ssize_t n = 0; n < count; n++)
        if (read_move(PyList_GetItem(given, n), &moves[n]) < 0) {
            PyMem_Free(moves);
            return NULL;
        }
    Py_BEGIN_ALLOW_THREADS;
    made = move_all(moves, count, &error);
    Py_END_ALLOW_THREADS;
    PyMem_Free(moves);
    return Py_BuildValue("(ni)", made, error);
}

/* The numbers of those looks of which `holds` is not true. */
static PyObject *others(PyObject *given, int (*holds)(const Look *))
{
    Py_ssize_t count = PyList_Size(given);
    PyObject *touched;
    Look *looks;
    if (count < 0 || !(looks = PyMem_Malloc(sizeof(Look) * (size_t)(count + 1))))
        return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    for (Py_ssize_t n = 0; n < count; n++)
        if (read_look(PyList_GetItem(given, n), &looks[n]) < 0) {
            PyMem_Free(looks);
            return NULL;
        }
    Py_BEGIN_ALLOW_THREADS;
    for (Py_ssize_t n = 0; n < count; n++)
        if (holds(&looks[n]))
            looks[n].name = NULL;
    Py_END_ALLOW_THREADS;
    touched = PyList_New(0);
    for (Py_ssize_t n = 0; touched && n < count; n++)
        if (looks[n].name) {
            PyObject *number = PyLong_FromSsize_t(n);
            if (!number || PyList_Append(touched, number) < 0)
                Py_CLEAR(touched);
            Py_XDECREF(number);
        }
    PyMem_Free(looks);
    return touched;
}

static PyObject *look_each(PyObject *self, PyObject *given)
{
    return others(given, is_untouched);
}

static PyObject *recognise_each(PyObject *self, PyObject *given)
{
    return others(given, is_known);
}

static void put4(unsigned char *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, 4);
}

static void put8(unsigned char *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, 8);
}

static uint64_t since_1970(struct statx_timestamp time)
{
    return (uint64_t)nanoseconds(time.tv_sec, time.tv_nsec);
}

static PyObject *packed(PyObject *self, PyObject *given)
{
    unsigned char facts[FACTS];
    struct statx now;
    PyObject *name;
    const char *known;
    int folder, failed;
    if (!PyArg_ParseTuple(given, "iS", &folder, &name) || !(known = name_of(name)))
        return NULL;
    Py_BEGIN_ALLOW_THREADS;
    failed = statx(folder, known, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_BTIME, &now);
    Py_END_ALLOW_THREADS;
    if (failed)
        return PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, name);
    put4(facts, now.stx_mode);
    put4(facts + 4, now.stx_nlink);
    put4(facts + 8, now.stx_uid);
    put4(facts + 12, now.stx_gid);
    put4(facts + 16, (uint32_t)(now.stx_attributes & ATTRIBUTES));
    put8(facts + INODE_AT, now.stx_ino);
    put8(facts + 28, now.stx_size);
    put8(facts + MTIME_AT, since_1970(now.stx_mtime));
    put8(facts + CTIME_AT, since_1970(now.stx_ctime));
    put8(facts + BORN_AT, now.stx_mask & STATX_BTIME ? since_1970(now.stx_btime) : 0);
    return PyBytes_FromStringAndSize((const char *)facts, FACTS);
}

static PyMethodDef functions[] = {
    {"packed", packed, METH_VARARGS, "packed(folder, name) -> the facts of one entry, a link itself"},
    {"rename_each", rename_each, METH_O, "rename_each(moves) -> (how many are made, errno or 0)"},
    {"look_each", look_each, METH_O, "look_each(looks) -> the numbers of those that are not as they were"},
    {"recognise_each", recognise_each, METH_O, "recognise_each(looks) -> the numbers of those that are not plainly known"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "treegate_native", "Many renames, many looks, and one look.", -1, functions,
};

PyMODINIT_FUNC PyInit_treegate_native(void)
{
    return PyModule_Create(&module);
}
