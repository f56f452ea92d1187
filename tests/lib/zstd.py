"""zstd for test clients: the system's library (dpkg itself needs it), since Python's own has none.

    p = Packer(); p.pack(b"NOOP\\r\\n")         # all of it, flushed
    u = Unpacker(); u.unpack(p.pack(b"x"))      # what came out so far; ValueError for what is no zstd"""
import ctypes

_lib = ctypes.CDLL("libzstd.so.1")
_LEVEL, _WINDOW_LOG, _WINDOW_LOG_MAX = 100, 101, 100    # ZSTD_cParameter, ZSTD_dParameter
_FLUSH = 1
WINDOW_LOG = 17


class _Buffer(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("at", ctypes.c_size_t)]


def _function(name, result, *arguments):
    function = getattr(_lib, name)
    function.restype, function.argtypes = result, arguments
    return function


_buffer_p = ctypes.POINTER(_Buffer)
_create_c = _function("ZSTD_createCCtx", ctypes.c_void_p)
_create_d = _function("ZSTD_createDCtx", ctypes.c_void_p)
_free_c = _function("ZSTD_freeCCtx", ctypes.c_size_t, ctypes.c_void_p)
_free_d = _function("ZSTD_freeDCtx", ctypes.c_size_t, ctypes.c_void_p)
_set_c = _function("ZSTD_CCtx_setParameter", ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
_set_d = _function("ZSTD_DCtx_setParameter", ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
_compress = _function("ZSTD_compressStream2", ctypes.c_size_t, ctypes.c_void_p, _buffer_p, _buffer_p, ctypes.c_int)
_decompress = _function("ZSTD_decompressStream", ctypes.c_size_t, ctypes.c_void_p, _buffer_p, _buffer_p)
_is_error = _function("ZSTD_isError", ctypes.c_uint, ctypes.c_size_t)
_error = _function("ZSTD_getErrorName", ctypes.c_char_p, ctypes.c_size_t)


def _checked(rc):
    if _is_error(rc):
        raise ValueError(_error(rc).decode())
    return rc


def _pump(step, data, size=1 << 17):
    """Call step(out, in) while it takes or gives something."""
    source = ctypes.create_string_buffer(data, len(data))
    room = ctypes.create_string_buffer(size)
    into = _Buffer(ctypes.addressof(source), len(data), 0)
    result = b""
    while True:
        out = _Buffer(ctypes.addressof(room), size, 0)
        _checked(step(ctypes.byref(out), ctypes.byref(into)))
        result += room.raw[:out.at]
        if into.at == into.size and out.at < size:
            return result


class Packer:
    def __init__(self, window_log=WINDOW_LOG):
        self._context = _create_c()
        _checked(_set_c(self._context, _LEVEL, 1))
        _checked(_set_c(self._context, _WINDOW_LOG, window_log))

    def pack(self, data):
        return _pump(lambda out, into: _compress(self._context, out, into, _FLUSH), data)

    def __del__(self):
        _free_c(self._context)


class Unpacker:
    def __init__(self, window_log=WINDOW_LOG):
        self._context = _create_d()
        _checked(_set_d(self._context, _WINDOW_LOG_MAX, window_log))

    def unpack(self, data):
        return _pump(lambda out, into: _decompress(self._context, out, into), data) if data else b""

    def __del__(self):
        _free_d(self._context)
