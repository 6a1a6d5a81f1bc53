"""PyInstaller's hook: take the models, the manifest and the rooms that are imported when they are first used."""

from PyInstaller.utils.hooks import collect_data_files, collect_submodules

hiddenimports = collect_submodules("posecv", filter=lambda name: not name.startswith("posecv._pyinstaller"))
datas = collect_data_files("posecv")
