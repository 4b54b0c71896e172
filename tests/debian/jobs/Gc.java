import java.util.*;

public class Gc {
	public static void main(String[] args) throws Exception {
		Map<Integer, byte[]> map = new HashMap<>();
		Random random = new Random(1);
		for (int i = 0; i < 20000; i++)
			map.put(random.nextInt(2000), new byte[random.nextInt(4000)]);
		Thread[] threads = new Thread[4];
		long[] out = new long[4];
		for (int k = 0; k < 4; k++) {
			final int mine = k;
			threads[k] = new Thread(() -> {
				List<String> list = new ArrayList<>();
				for (int i = 0; i < 20000; i++) {
					list.add("x" + i * mine);
					if (list.size() > 1000)
						list.clear();
					out[mine] += list.size();
				}
			});
			threads[k].start();
		}
		for (Thread t : threads)
			t.join();
		long sum = 0;
		for (byte[] b : map.values())
			sum += b.length;
		System.gc();
		System.out.println(sum + " " + map.size() + " " + Arrays.toString(out));
	}
}
