python3 python.py
